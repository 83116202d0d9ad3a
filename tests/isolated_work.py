"""Work that goes wrong, for the process that reads pages: it must be found by name there."""

import os
import signal
import time

import numpy as np

from segmentation.registration import RegistrationError


def shape_of(gray, template):
    return gray.shape, int(gray.sum()), template


def sleeps(gray, template):
    time.sleep(600)


def crashes(gray, template):
    os.kill(os.getpid(), signal.SIGSEGV)


def aborts(gray, template):
    os.abort()


def takes_memory(gray, template):
    return int(np.ones(3_000_000_000, np.uint8)[0])


def is_elsewhere(gray, template):
    raise RegistrationError("form_not_found", "this is not the form")


def is_wrong(gray, template):
    raise ZeroDivisionError("nobody expected this")


def process(gray, template):
    return os.getpid()
