"""The settings of one machine of your own, field by field. The descriptions make docs/config.md."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from .fields import EachOnce, Line, Number, WholeNumber
from .host_fields import HostAddress, IpAddress, MacAddress, PublicKey
from .section import Section


class WakeSection(Section):
    """How a sleeping machine is woken over the network."""

    mac: MacAddress = Field(description="Hardware address of its network card.", examples=["aa:bb:cc:dd:ee:ff"])
    broadcast: IpAddress = Field(
        default="255.255.255.255",
        description="Where the packet goes: the broadcast address of the machine's network.",
        examples=["192.168.1.255"],
    )
    port: WholeNumber = Field(default=9, ge=1, le=65535, description="UDP port of the packet.", examples=["9"])


class HostSection(Section):
    """One machine of your own. An address alone, as text, is the short form."""

    address: HostAddress = Field(
        description="Host name, IP address or a name from your ~/.ssh/config: `HOST`, `USER@HOST`, `HOST:PORT`.",
        examples=["gpu1.lab.example"],
    )
    host_key: PublicKey | None = Field(
        default=None,
        description="Its public host key. Left out: your known_hosts file must have it. Nothing is trusted on first use.",
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    )
    host_keys: Annotated[tuple[PublicKey, ...], EachOnce] = Field(
        default=(),
        description="The same for several keys.",
        examples=["[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]"],
    )
    price: Number = Field(
        default=0.0, ge=0, description="What an hour of it costs by your own reckoning, US dollars.", examples=["0.35"]
    )
    wake: WakeSection | None = Field(
        default=None,
        description="Wake it over the network when it does not answer.",
        examples=['{mac: "aa:bb:cc:dd:ee:ff"}'],
    )
    shutdown: Line = Field(
        default="", description="What its shell runs when the machine is given back.", examples=["sudo poweroff"]
    )

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, data: Any) -> Any:
        return {"address": data} if isinstance(data, str) else data
