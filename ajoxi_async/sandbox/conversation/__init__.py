"""What is said in a call: the script, its transcript, its recording and the audio. Worked out from the call, never stored."""
