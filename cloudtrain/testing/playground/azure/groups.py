"""Resource groups, and what is in them: one deletion takes everything."""

from collections.abc import Callable, Mapping

from ..calls import Reply
from .account import LOCATIONS, Account, Handler, page, paged
from .errors import ArmError
from .operations import LOCATION, Operations, Plan
from .things import Body, Group, Resource
from .wire import ArmCall, write_result

TYPE = "Microsoft.Resources/resourceGroups"
LONGEST_NAME = 90
MOST_TAGS = 50


class Groups:
    """Answers what is about resource groups, and about resources of any type."""

    def __init__(self, account: Account, operations: Operations, clear: Callable[[Resource], None]) -> None:
        """`clear` ends a resource and all that runs of it."""
        self._account, self._operations, self._clear = account, operations, clear

    def handlers(self) -> dict[tuple[str, str], Handler]:
        """Return what is answered here."""
        resources = "Microsoft.Resources"
        return {
            (resources, "resourceGroups/LIST"): self._list,
            (resources, "resourceGroups/GET"): lambda call: self._looked_at(self._account.group(call.group)),
            (resources, "resourceGroups/HEAD"): self._exists,
            (resources, "resourceGroups/PUT"): self._put,
            (resources, "resourceGroups/PATCH"): self._patch,
            (resources, "resourceGroups/DELETE"): self._delete,
            (resources, "resourceGroups/resources/LIST"): self._resources,
            (resources, "subscriptions/resources/LIST"): self._resources,
        }

    def _looked_at(self, group: Group) -> Body:
        if group.task is not None:
            group.looks += 1
            if group.looks > 1:  # whoever has seen it go once may still try to put something into it
                group.task.seen()
        return self._shown(group)

    def _shown(self, group: Group) -> Body:
        return {
            "id": f"/subscriptions/{self._account.subscription}/resourceGroups/{group.name}",
            "name": group.name,
            "type": TYPE,
            "location": group.location,
            "tags": dict(group.tags),
            "properties": {"provisioningState": group.state},
        }

    def _list(self, call: ArmCall) -> Body:
        wanted = tag_filter(call.query.get("$filter", ""))
        found = [group for group in self._account.groups.values() if has_tags(group.tags, wanted)]
        return paged(found, self._looked_at, call, self._account.page_size)

    def _exists(self, call: ArmCall) -> Reply:
        return write_result(call, None, 204 if call.group.lower() in self._account.groups else 404)

    def _put(self, call: ArmCall) -> Reply:
        location, existing = call.location, self._account.groups.get(call.group.lower())
        if location not in LOCATIONS:
            text = f"The provided location '{call.region}' is not available for resource group. List of available regions is "
            raise ArmError("LocationNotAvailableForResourceGroup", f"{text}'{','.join(LOCATIONS)}'.")
        if len(call.group) > LONGEST_NAME:
            raise ArmError("InvalidResourceGroup", f"The provided resource group name '{call.group}' is too long.")
        if existing is not None and existing.location != location:
            text = f"Invalid resource group location '{location}'. The Resource group already exists in location "
            raise ArmError("InvalidResourceGroupLocation", f"{text}'{existing.location}'.", status=409)
        if existing is not None:
            check_not_ending(existing)
        check_tags(call.resource.get("tags") or {})
        group = existing or Group(call.group, location, {})
        group.tags = dict(call.resource.get("tags") or {})
        self._account.groups[call.group.lower()] = group
        return write_result(call, self._shown(group), 200 if existing else 201)

    def _patch(self, call: ArmCall) -> Body:
        group = self._account.group(call.group)
        if call.resource.get("tags") is not None:
            check_tags(call.resource["tags"])
            group.tags = dict(call.resource["tags"])
        return self._shown(group)

    def _delete(self, call: ArmCall) -> Reply:
        group = self._account.group(call.group)
        group.state = "Deleting"
        plan = Plan(self._account.durations.delete, lambda: self._clear_out(group), lambda error: self._stays(group))
        group.task = self._operations.begin(call, "", plan)
        return self._operations.accepted(call, group.task, LOCATION)

    def _clear_out(self, group: Group) -> None:
        # Machines first: what belongs to one goes with it.
        for resource in sorted(
            self._account.resources.values(), key=lambda one: one.type != "Microsoft.Compute/virtualMachines"
        ):
            if resource.group.lower() == group.name.lower():
                self._clear(resource)
        self._account.groups.pop(group.name.lower(), None)

    def _stays(self, group: Group) -> None:
        group.state = "Succeeded"

    def _resources(self, call: ArmCall) -> Body:
        if call.group:
            self._account.group(call.group)
        asked = call.query.get("$filter", "")
        wanted, kind = tag_filter(asked), _type_filter(asked)
        return page(
            [
                _brief(resource)
                for resource in self._account.resources.values()
                if call.group.lower() in ("", resource.group.lower())
                and resource.type.count("/") == 1
                and kind in ("", resource.type.lower())
                and has_tags(resource.tags, wanted)
            ]
        )


def check_tags(tags: Mapping[str, object]) -> None:
    """Refuse tags that Azure does not keep.

    Raises:
        ArmError: there are too many, or one has characters or a length that are not allowed.
    """
    if len(tags) > MOST_TAGS:
        raise ArmError("InvalidTags", f"The maximum number of tags allowed is {MOST_TAGS}.")
    for key, value in tags.items():
        if any(character in key for character in "<>%&\\?/") or len(key) > 512:
            text = f"The tag names '{key}' have reserved characters '<,>,%,&,\\,?,/' or control characters."
            raise ArmError("InvalidTagNameCharacters", text)
        if not isinstance(value, str) or len(value) > 256:
            raise ArmError("TagValueTooLong", f"The tag value of '{key}' is no text of at most 256 characters.")


def check_not_ending(group: Group) -> None:
    """Refuse to put anything into a group that is being deleted.

    Raises:
        ArmError: it is.
    """
    if group.state == "Deleting":
        text = f"The resource group '{group.name}' is in deprovisioning state and cannot perform this operation."
        raise ArmError("ResourceGroupBeingDeleted", text, status=409)


def tag_filter(text: str) -> dict[str, str]:
    """Return what a filter wants of tags: a key and "*" or its value.

    Raises:
        ArmError: it wants something about tags that we cannot read.
    """
    words = text.split("'")
    plain = " ".join(text.split()).lower()
    if "tagname eq" not in plain:
        return {}
    if "tagvalue eq" in plain and len(words) >= 4:
        return {words[1]: words[3]}
    if plain.count(" eq ") == 1:
        return {words[1]: "*"}
    raise ArmError("InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string.")


def has_tags(tags: dict[str, str], wanted: dict[str, str]) -> bool:
    """Say whether tags are as a filter wants them; keys are compared without case."""
    found = {key.lower(): value for key, value in tags.items()}
    return all(key.lower() in found and value in ("*", found[key.lower()]) for key, value in wanted.items())


def _type_filter(text: str) -> str:
    words = text.split("'")
    return words[1].lower() if "resourcetype eq" in " ".join(text.split()).lower() and len(words) > 1 else ""


def _brief(resource: Resource) -> Body:
    keys = ("id", "name", "type", "location", "tags", "identity", "zones", "sku")
    return {key: resource.body[key] for key in keys if key in resource.body}
