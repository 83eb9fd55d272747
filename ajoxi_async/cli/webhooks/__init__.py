"""Commands that try a receiver of webhooks without waiting for a phone to ring: `trying` sends, `listen` forwards.

Rule: deliveries are posted to this machine only, unless ``--allow-remote`` is given. Redirects are not followed.
"""
