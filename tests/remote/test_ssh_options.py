"""What the client makes of our options, asked of the client itself, with a person's own config against them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cloudtrain.model.instance import SshEndpoint
from cloudtrain.remote.ssh_options import client_options, destination, host_alias

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"
LAX = """
StrictHostKeyChecking no
GlobalKnownHostsFile /lax/global
UserKnownHostsFile /lax/user
HostKeyAlias lax
ForwardAgent yes
PermitLocalCommand yes
LocalCommand touch owned
NoHostAuthenticationForLocalhost yes
VerifyHostKeyDNS yes
UpdateHostKeys yes
PasswordAuthentication yes
KnownHostsCommand /bin/echo lax
ControlMaster auto
"""

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no SSH client here")


def asked(endpoint: SshEndpoint, folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    (folder / "config").write_text(config)
    arguments = client_options(endpoint, folder, 10, "yes")
    command = ["ssh", "-F", str(folder / "config"), *arguments, "-G", *destination(endpoint)]
    return subprocess.run(command, capture_output=True, text=True)


def effective(endpoint: SshEndpoint, folder: Path, config: str) -> dict[str, str]:
    done = asked(endpoint, folder, config)
    assert done.returncode == 0, done.stderr
    return {name: value for name, _, value in (line.partition(" ") for line in done.stdout.splitlines())}


@pytest.mark.parametrize("host", ["machine.invalid", "localhost"])
@pytest.mark.parametrize("config", ["", LAX], ids=["no config", "a lax one"])
def test_the_pinned_key_alone_is_trusted_and_nothing_is_lent(tmp_path: Path, host: str, config: str) -> None:
    endpoint = SshEndpoint(host, (KEY,), options={"ForwardAgent": "yes", "IgnoreUnknown": "x"})
    options = effective(endpoint, tmp_path, config)
    wanted = {
        "stricthostkeychecking": "true",
        "globalknownhostsfile": "/dev/null",
        "userknownhostsfile": f"{tmp_path}/known_hosts",
        "hostkeyalias": host_alias(endpoint),
        "forwardagent": "no",
        "permitlocalcommand": "no",
        "nohostauthenticationforlocalhost": "no",
        "verifyhostkeydns": "false",
        "updatehostkeys": "false",
        "passwordauthentication": "no",
        "controlmaster": "false",
    }
    assert {name: options[name] for name in wanted} == wanted
    assert options.get("knownhostscommand", "none") == "none"


def test_what_a_person_lets_the_client_ignore_stays_ignored(tmp_path: Path) -> None:
    config = "IgnoreUnknown UseKeychain,SomethingOfTheirs\nUseKeychain yes\nSomethingOfTheirs 1\nUser theirs\n"
    assert effective(SshEndpoint("machine.invalid", (KEY,)), tmp_path, config)["user"] == "theirs"


def test_an_option_of_the_endpoint_that_the_client_does_not_know_is_told(tmp_path: Path) -> None:
    done = asked(SshEndpoint("machine.invalid", (KEY,), options={"ProxyJmp": "elsewhere"}), tmp_path, "")
    assert done.returncode != 0
    assert "proxyjmp" in done.stderr.lower()
