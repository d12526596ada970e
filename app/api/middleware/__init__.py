"""ASGI middleware, through which every request passes: one class a module."""
