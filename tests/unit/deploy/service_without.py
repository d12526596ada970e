"""`python -m tests.unit.deploy.service_without FILE MODULE...`: import all of the service, and draw
a picture, without the modules that FILE leaves out of site-packages, nor the others that are
named. Print those that were missed."""

import importlib
import io
import pkgutil
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path, PurePath
from types import ModuleType

import app


class LeftOut(PathFinder):
    """Finds no module that is, or is below, one of the paths left out."""

    patterns: tuple[str, ...] = ()

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = super().find_spec(fullname, path, target)
        _, _, name = (spec.origin or "" if spec else "").rpartition("/site-packages/")
        inside = PurePath(name)
        for place in (inside, *inside.parents):
            for pattern in cls.patterns:
                if len(place.parts) == pattern.count("/") + 1 and place.match(pattern):
                    sys.stdout.write(f"{fullname}\n")
                    raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)
        return spec


def main(patterns: Path, modules: Sequence[str]) -> None:
    lines = patterns.read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    LeftOut.patterns = (*listed, *modules, *(f"{module}.py" for module in modules))
    sys.meta_path[sys.meta_path.index(PathFinder)] = LeftOut
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith(("__main__", "torch_engine", "tracing")):  # of extras
            importlib.import_module(module.name)
    figure = importlib.import_module("matplotlib.figure").Figure()
    for picture_format in ("png", "svg", "webp"):
        figure.savefig(io.BytesIO(), format=picture_format)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
