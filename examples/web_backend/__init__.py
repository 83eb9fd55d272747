"""A backend with FastAPI: it places calls, shows what is said in them, and acts on webhooks."""
