"""The conversation of a call: script, transcript, recording and audio. They are computed from the call and never stored."""
