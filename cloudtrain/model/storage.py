"""Data in object storage: what lies at an address, and the links by which a machine without credentials reads it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object.

    Attributes:
        name: relative to the folder that was asked for, with forward slashes; whoever put it there chose it.
        etag: the storage's mark of its content, without quotes; 32 hexadecimal digits may be its MD5.
    """

    name: str
    bytes: int
    etag: str


@dataclass(frozen=True, slots=True)
class StoredData:
    """What lies at one address.

    Attributes:
        url: as a person wrote it ("s3://bucket/data/").
        region: where the storage keeps it.
        folder: the folder it becomes on the machine, its last name; "" when the address is one object's.
    """

    url: str
    region: str
    folder: str
    objects: tuple[StoredObject, ...]

    @property
    def total_bytes(self) -> int:
        """Return the sum of the objects' sizes, bytes."""
        return sum(each.bytes for each in self.objects)

    def place(self, name: str) -> str:
        """Return where an object of this name goes, relative to the job's folder on the machine."""
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True, slots=True)
class Link:
    """One object with an address that anybody may read it at for a while: a secret, to be shown nowhere."""

    object: StoredObject
    url: str = field(repr=False)
