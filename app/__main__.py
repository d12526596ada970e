"""`python -m app`: run the service with the settings of the environment."""

import sys

import uvicorn
from pydantic import ValidationError

from app.main import create_app
from app.settings import Settings


def main() -> None:
    """Read the settings and serve until told to stop."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(f"EARSHOT_* settings: {error}")
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
    )


if __name__ == "__main__":
    main()
