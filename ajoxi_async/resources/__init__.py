"""Floor 4: one file per resource, one method per endpoint, two or three lines each.

Every method takes the options of `ajoxi_async.pipeline.options.CallOptions` besides its own parameters, and raises
`InvalidParameterError` before anything is sent and `APIError` afterwards; see `ajoxi_async.protocol.errors`.
"""
