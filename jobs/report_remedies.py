"""What to do about each failure code, in the words of docs/failure-codes.md."""

REMEDIES = {
    "no_match": "correct the pattern; put patterns in quotes; a remote folder ends with /",
    "file_not_found": "put it back, or leave it out",
    "permission_denied": "give the job's user the right to read it",
    "is_a_folder": "name the files in it",
    "file_unreadable": "read the message; try again",
    "file_too_large": "split or compress it",
    "empty_file": "copy or scan it again",
    "not_an_image": "leave it out",
    "unsupported_format": "convert it to PNG, TIFF, JPEG or PDF",
    "unsupported_compression": "save it with CCITT Group 4, LZW or Deflate",
    "truncated": "copy or scan it again",
    "corrupt_image": "copy or scan it again",
    "too_many_pixels": "scan it at a lower resolution, or raise --max_pixels",
    "too_many_pages": "split it, or raise the limit",
    "encrypted_pdf": "save it without one",
    "no_pages": "scan it again",
    "page_out_of_range": "please report it: the job asks only for pages that exist",
    "out_of_memory": "run fewer workers, or lower --max_pixels",
    "form_not_found": "is it another form? Is it cut off, or skewed by more than 8 degrees? Nothing is "
    "read from such a page",
    "no_landmarks": "mark the fields that have a printed frame with frame = true",
    "classification_failed": "read the message; try the shipped model",
    "invalid_model_output": "the model file is damaged or was exported for something else",
    "page_too_slow": "look at the page; raise the limit",
    "internal_error": "please report it, with the message",
}
