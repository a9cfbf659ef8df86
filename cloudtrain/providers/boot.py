"""What a rented machine is told at its first moment: its keys, and when it ends, before anything else happens on it."""

import math
from dataclasses import dataclass
from datetime import datetime

import yaml

from ..model.lease import GuestEnd


@dataclass(frozen=True, slots=True)
class BootOrder:
    """What goes into a machine's user data.

    Attributes:
        deadline: when the machine ends itself, aware, UTC.
        issued_at: when this lease was given; of two leases a machine knows, the later one counts.
        authorized_key: the public key that may log in ("ssh-ed25519 AAAA…").
        host_key: the machine's private host key, an OpenSSH PEM text. Made for this machine alone: whoever may read the user
            data can read it.
        host_public_key: its public half.
        first_boot: a shell script that runs once, at the first boot and after all else; "" for none.
    """

    deadline: datetime
    issued_at: datetime
    guest_end: GuestEnd
    authorized_key: str
    host_key: str
    host_public_key: str
    first_boot: str = ""


def cloud_config(order: BootOrder) -> bytes:
    """Return a `#cloud-config` document that arms the machine's end at every boot and gives it its keys at the first.

    Arming needs no network, no download and no room on the disk. Where the machine cannot end its own bill, the lease is
    written down there and nothing is armed.

    Raises:
        ValueError: a time of the order has no zone.
    """
    if order.deadline.tzinfo is None or order.issued_at.tzinfo is None:
        raise ValueError("a boot order's times must have a zone")
    deadline = math.floor(order.deadline.timestamp())
    issued_at = min(math.ceil(order.issued_at.timestamp()), deadline)
    script = _NOTE + (_WATCH if order.guest_end is GuestEnd.POWEROFF else _ONLY_NOTE)
    kind = order.host_public_key.split(maxsplit=1)[0].removeprefix("ssh-")
    document = {
        "bootcmd": [
            ["sh", "-c", _BEGIN, "cloudtrain", str(deadline), str(issued_at), order.guest_end.value, script],
            ["sh", "-c", _QUIET],
        ],
        "ssh_deletekeys": True,
        "ssh_keys": {f"{kind}_private": order.host_key.strip() + "\n", f"{kind}_public": order.host_public_key.strip() + "\n"},
        "ssh_authorized_keys": [order.authorized_key.strip()],
        "ssh_pwauth": False,
        "package_update": False,
        "package_upgrade": False,
        **({"runcmd": [["sh", "-c", order.first_boot]]} if order.first_boot else {}),
    }
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000)
    return b"#cloud-config\n" + text.encode()


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are, for whoever looks at a machine's user data."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)

_BEGIN = 'export D=$1 I=$2 END=$3 CLOUDTRAIN_WATCH="$4" M= A= K=; eval "$4"'

# Packages that bring themselves up to date hold locks, load the disk, and may restart the machine.
_QUIET = (
    '[ -n "$CLOUDTRAIN_GUEST_ROOT" ] || systemctl mask --now --no-block apt-daily.timer apt-daily-upgrade.timer '
    "apt-daily.service apt-daily-upgrade.service unattended-upgrades.service >/dev/null 2>&1 || :"
)

# The script is its own watcher: it travels in an environment variable, so that no file can be deleted or cut short under it.
# D, I: deadline and issue of the newest lease known, Unix time. n: a number of the lease's file. k: write the lease down
# where it is newer than the file's; what else stands there stays.
_NOTE = r"""exec </dev/null >/dev/null 2>&1
R=$CLOUDTRAIN_GUEST_ROOT
V=$R/var/lib/cloudtrain
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
n() { sed -n 's/.*"'$1'": *\([1-9][0-9]*\).*/\1/p' "$V/lease.json"; }
k() { (
umask 077
[ "$(n deadline)" ] && [ "$(n issued_at)" -ge $I ] && exit
mkdir -pm755 "$V"
t=$V/l
sed -n 's/\("deadline": *\)[0-9]*/\1'$D'/;s/\("end": *\)"[a-z]*"/\1"'$END'"/
s/\("issued_at": *\)[1-9][0-9]*/\1'$I'/p' "$V/lease.json" >"$t"
[ -s "$t" ] || printf '{"deadline": %d, "issued_at": %d, "end": "%s"}\n' $D $I $END >"$t"
grep -q '}$' "$t" && mv "$t" "$V/lease.json"
); :; }
"""

_ONLY_NOTE = "k\n"

# x: run a program of the system's, never that of the machine a folder plays on. l: look at lease and clocks, as guest/lease.py
# does; of the lease the issue first, or one that is replaced in between would be the old deadline in the new one's name. E,
# the uptime of the end, is the earliest by wall clock, by the lease's length and by earlier looks (in V/clock, and in memory
# for K); L seconds are left. a: arm `shutdown`. h: have the watcher watched.
_WATCH = r"""U=/proc/uptime B=/proc/sys/kernel/random/boot_id S=$R/run/systemd
[ -r "$R$U" ] && U=$R$U
[ -r "$R$B" ] && B=$R$B
x() { [ -z "$R" ] || case $(command -v $1) in /bin/*|/sbin/*|/usr/*|'') return;; esac
"$@" & }
l() {
i=$(n issued_at) d=$(n deadline)
[ "$d" ] && [ "${i:-0}" -ge $I ] && D=$d I=$i
read u _ <$U; u=${u%%.*}
b=-; read b <$B
e=$((u+D-I)) w=$((u+D-$(date +%s)))
[ $w -lt $e ] && e=$w
[ "$K" = "$D $I" ] && [ $E -lt $e ] && e=$E
f=; read f g s v o <"$V/clock"
case "$s $v" in *[!0-9\ ]*|0?*|*\ 0?*|\ *|*\ ) f=;; esac
if [ "$f $g" = "$I $D" ]; then
[ "$o" = "$b" ] || s=$((u+s-v))
[ $s -lt $e ] && e=$s
fi
K="$D $I" E=$e L=$((e-u))
printf '%10d %10d %10d %10d %s\n' $I $D $E $u $b 1<>"$V/clock"
}
a() { A=$K m=+$((L/60)); [ $L -ge 60 ] || m=now; x shutdown -h $m; }
h() { M=g setsid sh -c "$CLOUDTRAIN_WATCH" & }
case $M in
g)
trap '' HUP INT TERM
echo -900 >/proc/$$/oom_score_adj
while :; do M=w G=$$ sh -c "$CLOUDTRAIN_WATCH"; sleep 1; done;;
w)
while l; :; do
if [ $L -le 0 ]; then
for c in 'shutdown -h now' 'systemctl poweroff' 'poweroff -f'; do x $c; sleep 60; done
echo o >"$R/proc/sysrq-trigger"
else
[ "$A" = "$K" ] && { [ ! -d "$S" ] || [ -e "$S/shutdown/scheduled" ]; } || a
rm -f "$R/run/nologin"
p=; read p <"$R/run/cloudtrain/keeper.pid"
[ -d "$S/system" ] || grep -q keeper /proc/${p:-0}/cmdline || sh "$V/keeper"
read y y y y z </proc/$$/stat
[ ${y:-$G} = $G ] || { h; exit; }
sleep $((L<10?L:10))
fi
done;;
*) l; a; export A; h; k;;
esac
"""
