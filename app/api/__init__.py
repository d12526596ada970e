"""HTTP and nothing else: one router for each resource, schemas, problems."""
