"""Writers of what is generated from the code: OpenAPI, AsyncAPI, the examples of settings."""
