"""What goes wrong, told as RFC 9457 wants it: ``application/problem+json`` with a stable ``code``."""

from typing import Any

CODES = {
    "bad_request": "The request is malformed.",
    "invalid_request": "A value is missing, of the wrong type or out of range; `errors` names each.",
    "empty_text": "A text without characters: use the verdict `blank`.",
    "bad_mark": "The verdict `label` of a character needs a label, one character; the others have none.",
    "unauthorized": "A token is needed.",
    "forbidden_origin": "The request comes from another site.",
    "forbidden_host": "The name in the address is not one this server answers to.",
    "header_required": "Requests that change something carry the header `X-Formscribe: 1`.",
    "not_found": "There is nothing at this address.",
    "no_such_field": "No complete run has read this field.",
    "no_such_character": "No complete run has read this character.",
    "method_not_allowed": "The address does not take this method.",
    "leased": "Somebody else is looking at this field.",
    "already_answered": "Somebody else has answered this field.",
    "nothing_to_undo": "Nobody has answered this field.",
    "another_answer": "Another answer stands than the one to be taken back.",
    "too_large": "The request has more bytes than are taken.",
    "unreadable_picture": "The file cannot be read as a picture; `reason` is a code of `failure-codes.md`.",
    "unknown_template": "No form of this name is known to the server.",
    "unsupported_media_type": "The body has another type than the address takes.",
    "busy": "Too many pages are being read; try again soon.",
    "results_gone": "The folder of results cannot be read any more.",
    "database_unavailable": "The database cannot be reached or is overloaded; try again soon.",
    "internal_error": "A fault of formscribe itself; its log shows where.",
}


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        """``code`` is one of ``CODES``; ``more`` are members of the body beside the usual ones."""
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more

    def body(self) -> dict[str, Any]:
        """The members of the answer."""
        return {
            "type": f"/docs#{self.code}",
            "title": CODES[self.code],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.more,
        }
