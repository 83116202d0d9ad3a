"""Coders for records that hold pixels: they tell their size without being serialised.

Beam estimates the size of sampled elements by encoding them, even where a fused stage hands them on as they
are; for a decoded page that would pickle some 8 MB to learn a number.
"""

from typing import Any

from apache_beam.coders import PickleCoder, registry

from pipeline.records import ClassifiedPage, DecodedPage, PageRows, PageToClassify


class _SizedCoder(PickleCoder):
    """Pickles when it must, which is never in a fused stage, and estimates sizes cheaply."""

    def _create_impl(self) -> Any:
        impl = super()._create_impl()
        return _sized(impl, self.estimate_size)

    def estimate_size(self, value: Any) -> int:
        """About how many bytes a record holds."""
        return size_of(value)


def _sized(impl: Any, estimate: Any) -> Any:
    from apache_beam.coders.coder_impl import CallbackCoderImpl

    return CallbackCoderImpl(impl.encode, impl.decode, estimate)


def size_of(value: Any) -> int:
    """About how many bytes a record of a page holds."""
    if isinstance(value, DecodedPage):
        return value.gray.nbytes
    if isinstance(value, PageRows):
        return 1200 * len(value.characters) + 300 * len(value.fields) + 600
    page = value.page if isinstance(value, ClassifiedPage) else value
    candidates = sum(len(line.starts) for field in page.segmented.fields for line in field.lines)
    return 1100 * candidates + 1000


def register_coders() -> None:
    """Makes Beam use these coders; doing it twice changes nothing."""
    for kind in (DecodedPage, PageToClassify, ClassifiedPage, PageRows):
        registry.register_coder(kind, _SizedCoder)
