"""``python -m controller`` is ``rollguard``."""

from controller.cli.main import main

if __name__ == "__main__":
    main()
