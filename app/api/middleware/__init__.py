"""What every request passes through: one ASGI middleware a module."""
