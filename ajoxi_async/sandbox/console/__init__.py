"""The console: a web page that shows a sandbox, and acts on it. It is imported only where it is asked for."""
