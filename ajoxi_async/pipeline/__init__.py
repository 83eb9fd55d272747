"""From a call of the client to its answer: credentials, hooks, options, the attempts of a request, pages, downloads."""
