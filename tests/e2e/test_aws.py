"""What is AWS's own on a pretend AWS: a GPU that is too old, which no other cloud rents any more."""

import pytest

from .playground import Playground
from .stories_of_jobs import DONE


@pytest.mark.parametrize("playground", ["aws"], indirect=True)
def test_an_old_gpu_is_refused_before_money(playground: Playground) -> None:
    person = playground.person("old")
    person.has_job(DONE)
    for words in (["plan", "aws-p2"], ["train", "aws-p2"]):
        refused = person.type(*words, "--framework", "tensorflow", exit_code=3)
        assert "compute capability 3.7 is too old for current tensorflow" in refused.stderr
        assert "The cheapest that will do is g4dn.xlarge (T4)" in refused.stderr
    planned = person.type("train", "aws-p2", "--framework", "tensorflow", "--allow-unsupported-gpu", "--dry-run")
    assert "p2.xlarge" in planned.stdout
    assert "RunInstances" not in {call.action for call in playground.cloud.calls() if "p2.xlarge" in str(call.parameters)}
