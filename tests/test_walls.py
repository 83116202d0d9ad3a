"""The walls between the rooms: who may import whom, in the source and at run time."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("segmentation", "model", "pipeline", "jobs", "review")
MAY_KNOW = {
    "segmentation": {"segmentation"},
    "model": {"model"},
    "pipeline": {"pipeline", "segmentation", "model"},
    "review": {"review", "pipeline", "segmentation", "model"},
    "jobs": {"jobs", "review", "pipeline", "segmentation", "model"},
}
BEAM = {"pipeline", "jobs"}
WEB_AND_DATABASE = {
    "fastapi",
    "starlette",
    "uvicorn",
    "jinja2",
    "sqlalchemy",
    "alembic",
    "sqlite3",
    "psycopg",
}
TRAINING_LIBRARIES = {"tensorflow", "keras", "matplotlib"}

MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported_packages(source: str, top_level_only: bool = False) -> set[str]:
    """Top-level names of everything a module imports, inside functions too unless asked otherwise."""
    tree = ast.parse(source)
    nodes = list(_module_level(tree)) if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their package in full"
            found.add((node.module or "").partition(".")[0])
    return found


def _module_level(tree: ast.AST):
    """Statements that run when the module is imported: not the bodies of functions."""
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _module_level(child)


def modules_loaded_by(statement: str) -> set[str]:
    """Names of the modules in ``sys.modules`` after a statement in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may_know(path: Path):
    room = path.relative_to(ROOT).parts[0]
    imports = imported_packages(path.read_text())
    assert imports & set(ROOMS) <= MAY_KNOW[room]
    if room not in BEAM:
        assert "apache_beam" not in imports
    if room != "review":
        assert not imports & WEB_AND_DATABASE
    if room != "model":
        assert not imports & TRAINING_LIBRARIES
    else:
        assert not imported_packages(path.read_text(), top_level_only=True) & TRAINING_LIBRARIES


def test_the_walk_sees_what_it_should():
    assert imported_packages("def f():\n    import keras.layers") == {"keras"}
    assert imported_packages("def f():\n    import keras", top_level_only=True) == set()
    assert imported_packages("if x:\n    from keras import y", top_level_only=True) == {"keras"}
    assert MODULES


@pytest.mark.parametrize(
    ("module", "strangers"),
    [
        ("model.classifier", {"tensorflow", "keras", "apache_beam", "segmentation", "matplotlib"}),
        ("model.decoding", {"tensorflow", "keras", "apache_beam", "segmentation", "ai_edge_litert"}),
        ("segmentation.segmenting", {"tensorflow", "apache_beam", "model", "ai_edge_litert"}),
        ("segmentation.images", {"tensorflow", "apache_beam", "model", "ai_edge_litert"}),
        ("pipeline.build", {"tensorflow", "keras", "matplotlib", "duckdb"}),
        (
            "jobs.cli",
            {"tensorflow", "apache_beam", "cv2", "numpy", "PIL", "pyarrow", "duckdb", "pipeline", "review"},
        ),
        ("jobs.query", {"tensorflow", "apache_beam", "cv2", "fastapi", "sqlalchemy", "alembic"}),
        ("jobs.review", {"tensorflow", "apache_beam", "fastapi", "sqlalchemy", "alembic"}),
        ("pipeline.results", {"tensorflow", "apache_beam", "cv2", "sqlite3"}),
        ("review.verified", {"tensorflow", "apache_beam", "cv2", "fastapi", "sqlalchemy", "alembic"}),
        ("review.serve", {"tensorflow", "apache_beam"}),
    ],
)
def test_importing_a_module_loads_no_strangers(module: str, strangers: set[str]):
    if not (ROOT / Path(*module.split("."))).with_suffix(".py").exists():
        pytest.skip(f"{module} is not there yet")
    assert not modules_loaded_by(f"import {module}") & strangers
