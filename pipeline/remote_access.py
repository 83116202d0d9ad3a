"""Whether an object store answers, asked once before a job starts: with a short time-out and no retries.

Without it Beam would try for credentials for half a minute and for a connection much longer, and would then
fail with an error of a library.
"""

import json
import os
from importlib import util
from typing import Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, S3Options

from pipeline.matching import is_local
from pipeline.remote import exists, is_bucket, literal_prefix, make_clients_quick, reason

SECONDS = 20
_HANDED = "FORMSCRIBE_STORE_FLAGS"
_OF_STORES = frozenset({"no_auth", "project", "impersonate_service_account", "gcp_oauth_scopes"})
_EXTRAS = {"gs": ("gcp", "google.cloud.storage"), "s3": ("aws", "boto3")}
GOOGLE_REMEDY = (
    "no Google credentials were found. Log in with `gcloud auth application-default login`, or let "
    "GOOGLE_APPLICATION_CREDENTIALS name the key file of a service account. For public buckets: --no_auth."
)
AWS_REMEDY = (
    "no AWS credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or log "
    "in with `aws sso login`."
)


class RemoteError(Exception):
    """A store that cannot be used; the message names the path and the remedy.

    Attributes:
        denied: whether it answered, but not to this user.
    """

    def __init__(self, message: str, denied: bool = False) -> None:
        """Keeps whether access was denied."""
        super().__init__(message)
        self.denied = denied


def scheme_of(path: str) -> str:
    """``gs``, ``s3``, or nothing for a local path."""
    return "" if is_local(path) else path.partition("://")[0]


def use_stores(options: PipelineOptions) -> None:
    """Lets this process reach stores as the job's workers will: with the flags of Beam.

    Google's emulator (``STORAGE_EMULATOR_HOST``) and ``--no_auth`` need no credentials: none are looked for.
    """
    FileSystems.set_options(options)
    make_clients_quick()
    if _needs_no_credentials(options):
        from apache_beam.internal.gcp import auth

        # Beam knows no public way: its file system looks for credentials for half a minute all the same.
        auth._Credentials._credentials_init = True


def hand_to_workers(options: PipelineOptions) -> None:
    """Leaves the flags of the stores to the worker processes of this machine, in a variable they inherit.

    Beam's local runner starts them without any flag; other runners hand the flags on themselves.
    """
    known = options.get_all_options(drop_default=True)
    flags = {name: value for name, value in known.items() if name.startswith("s3_") or name in _OF_STORES}
    os.environ[_HANDED] = json.dumps({"launcher": os.getpid(), "flags": flags})


def take_from_launcher() -> None:
    """Lets a worker process reach the stores as its launcher does; nothing elsewhere."""
    handed = json.loads(os.environ.get(_HANDED, "null"))
    if handed is not None and handed["launcher"] != os.getpid():
        use_stores(PipelineOptions.from_dictionary(handed["flags"]))


def _needs_no_credentials(options: PipelineOptions) -> bool:
    if util.find_spec("google") is None or util.find_spec("google.auth") is None:
        return False
    anonymous = bool(options.view_as(GoogleCloudOptions).no_auth)
    return anonymous or "STORAGE_EMULATOR_HOST" in os.environ


def check_store(path: str, options: PipelineOptions) -> None:
    """Sees whether a remote path can be listed, within seconds; says nothing about local ones.

    Raises:
        RemoteError: it cannot.
    """
    scheme = scheme_of(path)
    if scheme not in _EXTRAS:
        _check_known(path)
        return
    extra, module = _EXTRAS[scheme]
    if not _is_installed(module):
        raise RemoteError(f"{scheme}:// needs more packages: pip install '.[{extra}]'")
    if not path.partition("://")[2].strip("/"):
        raise RemoteError(f"names no bucket. Write {scheme}://BUCKET/FOLDER.")
    ask = _ask_google if scheme == "gs" else _ask_aws
    try:
        ask(*_bucket_and_prefix(path), options)
    except RemoteError:
        raise
    except Exception as error:
        raise _explained(error, path) from error


def _check_known(path: str) -> None:
    if is_local(path):
        return
    try:
        FileSystems.get_filesystem(path)
    except ValueError:
        raise RemoteError(
            f"{scheme_of(path)}:// is no file system that is installed. Known are gs:// and s3://, with "
            "pip install '.[gcp]' and '.[aws]'."
        ) from None


def _is_installed(module: str) -> bool:
    try:
        return util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a parent
        return False


def _bucket_and_prefix(path: str) -> tuple[str, str]:
    bucket, _, prefix = literal_prefix(path).partition("://")[2].partition("/")
    return bucket, prefix


def _ask_google(bucket: str, prefix: str, options: PipelineOptions) -> None:
    from apache_beam.io.gcp.gcsio import create_storage_client

    if not _needs_no_credentials(options):
        _find_google_credentials(options)
    client = create_storage_client(options)
    listing = client.list_blobs(bucket, prefix=prefix, max_results=1, retry=None, timeout=SECONDS)
    next(iter(listing), None)


def _find_google_credentials(options: PipelineOptions) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        google.auth.default(scopes=options.view_as(GoogleCloudOptions).gcp_oauth_scopes)
    except DefaultCredentialsError:
        raise RemoteError(GOOGLE_REMEDY) from None


def _ask_aws(bucket: str, prefix: str, options: PipelineOptions) -> None:
    import boto3
    from botocore.config import Config

    flags = options.view_as(S3Options)
    session = boto3.session.Session()
    if not flags.s3_access_key_id and session.get_credentials() is None:
        raise RemoteError(AWS_REMEDY)
    client: Any = session.client(
        "s3",
        region_name=flags.s3_region_name,
        api_version=flags.s3_api_version,
        use_ssl=not flags.s3_disable_ssl,
        verify=flags.s3_verify,
        endpoint_url=flags.s3_endpoint_url,
        aws_access_key_id=flags.s3_access_key_id,
        aws_secret_access_key=flags.s3_secret_access_key,
        aws_session_token=flags.s3_session_token,
        config=Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1}),
    )
    client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)


def _explained(error: Exception, path: str) -> RemoteError:
    bucket = f"{scheme_of(path)}://{_bucket_and_prefix(path)[0]}"
    code, message = reason(error)
    if code == "file_not_found":
        return RemoteError(f"there is no bucket {bucket}. Name one that exists.")
    if code == "permission_denied":
        listed = "storage.objects.list" if scheme_of(path) == "gs" else "s3:ListBucket"
        return RemoteError(
            f"access to {bucket} is denied. Give the user or service account the right to list and read it "
            f"({listed} and so on).",
            denied=True,
        )
    told = message or type(error).__name__
    return RemoteError(f"{bucket} does not answer: {' '.join(told.split())[:200]}")


def may_be_read(path: str) -> bool:
    """Whether a single file can be had although its bucket must not be listed."""
    named = literal_prefix(path) == path and not path.endswith("/") and not is_bucket(path)
    return named and exists(path)
