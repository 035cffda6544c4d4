"""`python -m asradapt`."""

from asradapt.cli import main

if __name__ == "__main__":
    main()
