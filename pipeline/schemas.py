"""The Arrow schemas of the four tables: the only place that says what comes out.

Boxes and lengths are pixels of the scan as decoded, origin top left; times are milliseconds; confidences are
probabilities from 0 to 1; ``page`` counts from 1. The partition ``run=ID`` gives each row its run.
"""

import pyarrow as pa

ACCEPTED, REVIEW, BLANK = "accepted", "review", "blank"
STATUSES = (ACCEPTED, REVIEW, BLANK)
STAGES = ("decode", "segment", "classify", "read")


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _scored(label: str) -> pa.DataType:
    """A list of (label, confidence), best first."""
    return pa.list_(
        _required(
            "element", pa.struct([_required(label, pa.string()), _required("confidence", pa.float32())])
        )
    )


_BOX = [_required(f"box_{part}", pa.float32()) for part in ("x", "y", "width", "height")]
_PAGE = [_required("source", pa.string()), _required("page", pa.int32())]

FORMS = pa.schema(
    [
        *_PAGE,
        _required("sha256", pa.string()),  # of the file
        _required("status", pa.string()),  # accepted if no field needs review
        _required("template", pa.string()),
        _required("template_sha256", pa.string()),
        _required("model_sha256", pa.string()),
        # page = [[t0, t1, t2], [t3, t4, t5]] @ (x, y, 1) for x, y in template pixels
        _required("transform", pa.list_(_required("element", pa.float64()))),
        _required("residual_px", pa.float64()),
        _required("landmarks_matched", pa.int32()),
        _required("landmarks", pa.int32()),
        _required("skew_degrees", pa.float64()),
        _required("width", pa.int32()),
        _required("height", pa.int32()),
        _required("fields", pa.int32()),
        *(_required(f"fields_{status}", pa.int32()) for status in STATUSES),
        _required("characters", pa.int32()),
        *(_required(f"{stage}_ms", pa.float32()) for stage in STAGES),
    ]
)

FIELDS = pa.schema(
    [
        *_PAGE,
        _required("field", pa.string()),
        _required("ordinal", pa.int32()),  # place in the template, from 0
        _required("text", pa.string()),  # lines of a paragraph are joined by a line feed
        pa.field("confidence", pa.float32()),  # of a blank field: that nothing is written there
        _required("status", pa.string()),
        _required("charset", pa.string()),
        *_BOX,
        _required("ink_ratio", pa.float32()),
        _required("runners_up", _scored("text")),
    ]
)

CHARACTERS = pa.schema(
    [
        *_PAGE,
        _required("field", pa.string()),
        _required("position", pa.int32()),  # among the characters of the field, from 0
        _required("label", pa.string()),
        _required("confidence", pa.float32()),
        _required("alternatives", _scored("label")),
        *_BOX,
        _required("crop", pa.binary(784)),  # 28x28, a row after the other, ink = 255 on 0
    ]
)

FAILURES = pa.schema(
    [
        _required("source", pa.string()),
        pa.field("page", pa.int32()),  # null: the whole file
        pa.field("sha256", pa.string()),  # null: its bytes could not be had
        _required("stage", pa.string()),
        _required("code", pa.string()),
        _required("message", pa.string()),
    ]
)

TABLES = {"forms": FORMS, "fields": FIELDS, "characters": CHARACTERS, "failures": FAILURES}
