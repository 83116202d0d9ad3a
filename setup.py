"""Packaging of formscribe: what workers install, and the extras for training, review and tests.

``pip install .`` is the light set that a worker needs to read forms; it contains no TensorFlow.
"""

from setuptools import setup

READ = [
    "apache-beam>=2.77,<2.78",
    "ai-edge-litert>=2.3,<2.4",  # runs the exported model: 50 MB, where TensorFlow takes 1.3 GB
    "duckdb>=2.0,<3",  # SQL over the Parquet output (`formscribe query`)
    "numpy>=2.4,<2.5",
    "opencv-python-headless>=5.0,<5.1",  # the same cv2 as opencv-python, without system libraries
    "pillow>=12,<13",
    "pyarrow>=25,<26",
    "pypdfium2>=5,<6",  # renders PDF pages; PDFium comes inside the wheel
]
TRAIN = [
    "tensorflow-cpu>=2.21,<2.22; platform_machine == 'x86_64' and sys_platform == 'linux'",
    "tensorflow>=2.21,<2.22; platform_machine != 'x86_64' or sys_platform != 'linux'",
    "matplotlib>=3.9,<4",
]
REVIEW = [
    "fastapi>=0.165,<0.200",  # the desk's pages and REST, with their OpenAPI document
    "uvicorn>=0.54,<1",  # serves them
    "python-multipart>=0.0.34,<0.1",  # uploads of pictures
    "jinja2>=3.1.6,<4",  # pages, escaped by default
    "sqlalchemy>=2.1,<2.2",  # corrections in SQLite or PostgreSQL
    "alembic>=1.20,<2",  # newer versions of their tables
]
POSTGRES = ["psycopg[binary]>=3.3,<4"]
GCP = ["apache-beam[gcp]>=2.77,<2.78"]  # gs:// and Dataflow
AWS = ["apache-beam[aws]>=2.77,<2.78"]  # s3://
TEST = [
    "psycopg[binary]>=3.3,<4",
    "httpx>=0.28,<1",
    "playwright>=1.60,<2",  # drives the system's Chromium; downloads none
    "psutil>=7,<8",
    "pytest>=9,<10",
    "pytest-timeout>=2.4,<3",
    "hypothesis>=6.140,<7",
    "mypy>=2.4,<3",
    "schemathesis>=4.32,<5",  # asks the REST interface at random, as its OpenAPI document allows
    "ruff>=0.17,<0.18",  # a newer one may format otherwise
]

CLOUDTEST = [  # stores on this machine, for the slow tests of gs:// and s3://
    "gcp-storage-emulator>=2026.7,<2027",
    "moto[server]>=5.2,<6",
]

setup(
    name="formscribe",
    version="0.1.0",
    description="Reads hand-filled paper forms by the million: an Apache Beam job from scans to Parquet.",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    packages=[
        "segmentation",
        "model",
        "model.datasets",
        "pipeline",
        "jobs",
        "jobs.dataflow",
        "review",
        "review.migrations",
        "review.migrations.versions",
    ],
    package_data={
        "segmentation": ["forms/*.toml", "fonts/*", "py.typed"],
        "model": ["weights/*", "py.typed"],
        "pipeline": ["py.typed"],
        "jobs": ["dataflow/Dockerfile", "dataflow/metadata.json", "py.typed", "report.css"],
        "review": ["migrations/script.py.mako", "static/*", "templates/*", "py.typed"],
    },
    install_requires=READ,
    extras_require={
        "train": TRAIN,
        "review": REVIEW,
        "postgres": POSTGRES,
        "gcp": GCP,
        "aws": AWS,
        "test": TEST,
        "cloudtest": CLOUDTEST,
    },
    entry_points={"console_scripts": ["formscribe = jobs.cli:main"]},
)
