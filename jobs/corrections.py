"""What verifiers corrected, as characters: of a folder of results and its database, or exported of it."""

from pathlib import Path

from jobs.exit_codes import CommandError, ExitCode
from model.datasets import AbsentError, DatasetError
from model.datasets.corrections import Corrections, load_corrections

PREFIX = "corrections:"

# What there is to say while ``Corrections.settled`` is false.
UNSETTLED = "There are few pages yet: what is held back is likely to change when more are corrected."


def is_corrections(name: str) -> bool:
    """Whether a data set is named ``corrections:PATH``."""
    return name.startswith(PREFIX)


def open_corrections(name: str, database: str | None = None) -> Corrections:
    """All labelled characters of ``corrections:PATH``, at least one.

    Args:
        name: PATH is a folder that ``formscribe run`` wrote, or an ``.npz`` of ``formscribe export --crops``.
        database: the address of the desk's database; None is the file in the folder.

    Raises:
        CommandError: there are none, or they cannot be read.
    """
    path = Path(name.removeprefix(PREFIX))
    if path.suffix == ".npz":
        try:
            corrections = load_corrections(path)
        except AbsentError as error:
            raise CommandError(ExitCode.NO_INPUT, f"--dataset {error}") from None
        except DatasetError as error:
            raise CommandError(ExitCode.USAGE, f"--dataset {error}") from None
    else:
        corrections = _read_folder(path, database)
    if not len(corrections):
        raise CommandError(
            ExitCode.NO_INPUT,
            f"--dataset {name}: no character has a certain label yet. Correct or confirm some fields with "
            "`formscribe review`.",
        )
    return corrections


def export_crops(output: Path, database: str | None, target: Path) -> int:
    """Writes the labelled characters of a folder of results, and says how many there are.

    Raises:
        CommandError: the file's name, the folder or the database cannot be used.
    """
    from review.labelled import DatabaseError, ResultsError, write_crops

    if target.suffix != ".npz":
        raise CommandError(ExitCode.USAGE, f"--crops {target}: name a file that ends with .npz.")
    try:
        counts = write_crops(output, database, target)
    except (ResultsError, DatabaseError) as error:
        raise CommandError(ExitCode.NO_RESULTS, str(error)) from None
    except OSError as error:
        raise CommandError(
            ExitCode.OUTPUT_NOT_WRITABLE,
            f"--crops {target}: cannot be written ({error.strerror}). Is there such a folder?",
        ) from None
    print(
        f"{counts.crops:,} characters of {counts.fields:,} fields: {target}\n"
        f"{counts.corrected:,} of them were read as something else; {counts.held_back:,} are held back to "
        f"measure on; {counts.left_out:,} more are left out, since their label is not certain"
    )
    if not counts.settled:
        print(UNSETTLED)
    return int(ExitCode.OK)


def _read_folder(path: Path, database: str | None) -> Corrections:
    from review.labelled import DatabaseError, ResultsError, labelled_crops

    try:
        return labelled_crops(path, database)[0]
    except (ResultsError, DatabaseError) as error:
        raise CommandError(ExitCode.NO_RESULTS, str(error)) from None
