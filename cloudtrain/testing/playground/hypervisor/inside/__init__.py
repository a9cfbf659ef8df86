"""What runs on a pretend machine itself: standard library only, each file a program of its own, copied there by `image.py`."""
