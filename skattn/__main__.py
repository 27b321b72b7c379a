"""``python -m skattn``."""

from skattn.cli import main

if __name__ == "__main__":
    main(prog_name="skattn")
