"""The file that the launcher of a Flex Template starts; it knows files, not modules."""

import sys

from jobs.dataflow.template import main

if __name__ == "__main__":
    sys.exit(main())
