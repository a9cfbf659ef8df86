"""`python -m cloudtrain`: the same as `cloudtrain`."""

from .cli.main import main

if __name__ == "__main__":
    main()
