"""What is installed: every package and every file that the code opens."""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("segmentation", "model", "pipeline", "jobs", "review")
# What a distribution is imported as, where that is another name.
IMPORTED_AS = {
    "apache-beam": "apache_beam",
    "ai-edge-litert": "ai_edge_litert",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "python-multipart": "python_multipart",
}


def setup_values() -> dict[str, object]:
    """The literals of setup.py: its lists of requirements and the arguments of ``setup``."""
    found: dict[str, object] = {}
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            for keyword in node.value.keywords:
                if keyword.arg in ("packages", "package_data", "version"):
                    found[keyword.arg] = ast.literal_eval(keyword.value)
    return found


def test_every_package_is_listed_and_no_test_is():
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("__init__.py")}
    expected = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(setup_values()["packages"]) == expected


def test_every_file_that_is_not_code_is_package_data():
    data = setup_values()["package_data"]
    for room in ROOMS:
        here = {
            path for path in (ROOT / room).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")
        }
        listed = {path for pattern in data[room] for path in (ROOT / room).glob(pattern)}
        assert here <= listed
        assert all(any((ROOT / room).glob(pattern)) for pattern in data[room])


def test_what_reading_imports_is_what_a_worker_installs():
    imported = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    imported -= set(sys.stdlib_module_names) | set(ROOMS)
    values = setup_values()

    def modules(requirements: object) -> set[str]:
        names = [re.match(r"[\w-]+", text)[0] for text in requirements]
        return {IMPORTED_AS.get(name, name) for name in names}

    for_training = modules(values["TRAIN"]) | {"keras"}  # which TensorFlow brings
    for_stores = {"google", "boto3", "botocore"}  # which Beam's extras `gcp` and `aws` bring
    imported -= for_stores | {"grpc"}  # which Beam itself brings
    for_review = modules(values["REVIEW"]) | {"starlette", "pydantic"}  # which FastAPI brings
    assert imported - for_training - for_review == modules(values["READ"])
    assert imported <= modules(values["READ"]) | for_training | for_review


def test_the_changelog_has_this_version():
    assert f"## [{setup_values()['version']}]" in (ROOT / "CHANGELOG.md").read_text()
