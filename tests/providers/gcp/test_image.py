"""Images: the newest of a family that is found, and the one a person names."""

from collections.abc import Mapping
from typing import Any

import pytest

from cloudtrain.model.errors import NoCapacityError, PermissionDeniedError, ProviderError
from cloudtrain.model.offer import Offer
from cloudtrain.providers.gcp.image import LEARNING, UBUNTU, UBUNTU_FAMILIES, find_image

from .answers import Answers, denied

LIST, GET, FAMILY = "compute.images.list", "compute.images.get", "compute.images.getFromFamily"
L4 = Offer("gcp", "g2-standard-4", "us-central1", gpu="L4", gpu_count=1)
V100 = Offer("gcp", "n1-standard-8+nvidia-tesla-v100", "us-central1", gpu="V100", gpu_count=1)
E2 = Offer("gcp", "e2-standard-4", "us-central1")


def image(family: str, day: int = 1, project: str = LEARNING, **more: Any) -> dict[str, Any]:
    name = f"{family}-v202608{day:02}"
    return {
        "name": name,
        "family": family,
        "selfLink": f"https://compute.example/compute/v1/projects/{project}/global/images/{name}",
        "diskSizeGb": "50",
        "creationTimestamp": f"2026-08-{day:02}T01:00:00.000-07:00",
        **more,
    }


WITH_580 = "common-cu129-ubuntu-2404-nvidia-580"
LISTED = (
    image("common-cu128-ubuntu-2204-nvidia-570", 30),
    image(WITH_580, 1),
    image(WITH_580, 19),
    image(WITH_580, 25, deprecated={"state": "DEPRECATED"}),
    image("common-cu129-ubuntu-2204-nvidia-580", 20),
    image("pytorch-2-9-cu129-ubuntu-2404-nvidia-580", 28),
    image("common-cu124-debian-11-py310", 29),
    image("common-cu130-ubuntu-2404", 29),
    image("common-cu131-ubuntu-2404-nvidia-590", 29, architecture="ARM64"),
    {key: value for key, value in image(WITH_580, 31).items() if key != "family"},
)


def listing(*images: Mapping[str, Any]) -> Answers:
    return Answers({LIST: {"items": images}})


def having(images: Mapping[str, Mapping[str, Any]]) -> Answers:
    """Answer for images by their paths; there are no others."""

    def get(path: str, _: Mapping[str, str]) -> Mapping[str, Any]:
        if path not in images:
            raise denied(GET, 404, "notFound")
        return images[path]

    return Answers({GET: get, FAMILY: get})


def test_a_gpu_machine_gets_the_newest_image_that_has_its_driver() -> None:
    found = find_image("auto", L4, listing(*LISTED))
    assert found.name == f"{WITH_580}-v20260819"
    assert found.self_link.endswith(f"/projects/{LEARNING}/global/images/{found.name}")
    assert (found.disk_gb, found.user, found.remark, dict(found.metadata)) == (50, "ubuntu", "", {})


def test_families_are_found_and_not_known() -> None:
    newer = image("common-cu133-ubuntu-2604-nvidia-600", 2)
    assert find_image("auto", L4, listing(*LISTED, newer)).name == newer["name"]


def test_it_is_asked_for_by_the_family_s_beginning() -> None:
    rest = listing(*LISTED)
    find_image("auto", L4, rest)
    [(method_id, path, query)] = rest.asked
    assert (method_id, path) == (LIST, f"projects/{LEARNING}/global/images")
    assert query["filter"] == 'family eq "common-cu[0-9]+-ubuntu-.*"'


def test_the_older_ubuntu_will_do_when_there_is_no_other() -> None:
    assert find_image("auto", L4, listing(*LISTED[:1], *LISTED[4:])).name.startswith("common-cu129-ubuntu-2204-nvidia-580")


def test_an_image_without_a_driver_is_told_to_install_one() -> None:
    found = find_image("auto", L4, listing(image("common-cu130-ubuntu-2404")))
    assert dict(found.metadata) == {"install-nvidia-driver": "True"}
    assert "installs its NVIDIA driver" in found.remark


def test_a_gpu_before_turing_gets_no_driver_that_has_forgotten_it() -> None:
    newer = image("common-cu133-ubuntu-2604-nvidia-600", 2)
    found = find_image("auto", V100, listing(*LISTED, newer))
    assert found.name == f"{WITH_580}-v20260819"
    assert found.remark == "whether its driver still drives a V100 has not been seen"


@pytest.mark.parametrize("listed", [(), LISTED[5:7], LISTED[3:4]])
def test_none_that_would_do_is_said(listed: tuple[Mapping[str, Any], ...]) -> None:
    with pytest.raises(NoCapacityError, match=r"no image for g2-standard-4"):
        find_image("auto", L4, listing(*listed))


def test_a_machine_without_a_gpu_gets_plain_ubuntu_of_the_first_family_there_is() -> None:
    paths = [f"projects/{UBUNTU}/global/images/family/{family}" for family in UBUNTU_FAMILIES]
    images = {path: image(family, project=UBUNTU) for path, family in zip(paths, UBUNTU_FAMILIES, strict=True)}
    assert find_image("auto", E2, having(images)).name.startswith("ubuntu-2404-lts-amd64-v")
    del images[paths[0]]
    found = find_image("auto", E2, having(images))
    assert found.name.startswith("ubuntu-2204-lts-v")
    assert (found.remark, dict(found.metadata)) == ("", {})
    with pytest.raises(NoCapacityError, match="ubuntu-minimal"):
        find_image("auto", E2, having({}))


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("mine", "projects/my-project/global/images/mine"),
        ("my-family", "projects/my-project/global/images/family/my-family"),
        ("projects/other/global/images/theirs", "projects/other/global/images/theirs"),
        ("projects/other/global/images/family/f", "projects/other/global/images/family/f"),
        ("https://compute.example/compute/v1/projects/other/global/images/theirs", "projects/other/global/images/theirs"),
    ],
)
def test_a_named_image_wins(wanted: str, path: str) -> None:
    rest = having({path: image("my-own", project="other", diskSizeGb="120")})
    found = find_image(wanted, L4, rest)
    assert (found.disk_gb, dict(found.metadata), found.remark) == (120, {}, "")
    assert LIST not in rest.named()


@pytest.mark.parametrize("wanted", ["absent", "projects/other/global/images/absent", "projects/other/global/images/family/a"])
def test_a_named_image_that_is_not_there_is_named(wanted: str) -> None:
    with pytest.raises(ProviderError, match=f"There is no image {wanted}") as raised:
        find_image(wanted, L4, having({}))
    assert "gcloud compute images list" in raised.value.hint


def test_an_image_that_may_not_be_looked_at_is_not_called_absent() -> None:
    with pytest.raises(PermissionDeniedError):
        find_image("mine", L4, Answers({GET: denied(GET)}))


def test_google_s_own_image_without_a_driver_installs_it_also_when_it_is_named() -> None:
    path = f"projects/{LEARNING}/global/images/family/common-cu130-ubuntu-2404"
    rest = having({path: image("common-cu130-ubuntu-2404")})
    assert dict(find_image(path, L4, rest).metadata) == {"install-nvidia-driver": "True"}
    assert dict(find_image(path, E2, rest).metadata) == {}
