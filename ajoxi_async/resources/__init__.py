"""The client's methods: one file for each resource, one method for each endpoint.

Every method takes the options of `ajoxi_async.pipeline.options.CallOptions` besides its own parameters, and raises
`InvalidParameterError` before anything is sent and `APIError` afterwards; see `ajoxi_async.protocol.errors`.
"""
