"""What every key must end as, from the vendors' raw records alone, in any order; no code of the product.

A set is a facet of rank 0 for each of its elements, named `set:element`.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from tests.chaos.said import facets, when

NEVER: Final = -(2**63)
LIVES_BY: Final = {"duett": "body", "payment": "bound", "visma-journal": "status"}


class Model:
    """Per key the newest delete, and of every facet the greatest (version, rank) with one telling column."""

    def __init__(self) -> None:
        self.gone: defaultdict[str, int] = defaultdict(lambda: NEVER)
        self.facets: defaultdict[str, dict[str, tuple[int, int, Any]]] = defaultdict(dict)
        self.seen: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def take(self, key: str, body: bytes, event: str) -> None:
        """Read a raw record that no worker forwarded; `event` is its name where the body does not say it."""
        said, (source, _, entity, _) = json.loads(body), key.split("/")
        at, event = when(said), event or said["event"]
        if event.lower().endswith(("delete", "deleted")) or said.get("Deleted"):
            self.gone[key] = max(self.gone[key], at)
        for name, (rank, column) in facets(source, entity, said, event).items():
            self._put(key, name, (at, rank, column))
        if event == "ClientMerged":
            target = f"{key.rpartition('/')[0]}/{said['TargetId']}"
            self._put(target, f"merged_from:{said['SourceId']}", (at, 0, None))
        if source == "visma-net" and entity != "sales_order" and "entityId" in said and "action" not in said:
            seen = self.seen[f"{entity}.{said['entityId'].lower()}"]
            seen[key] = max(at, seen.get(key, NEVER))

    def _put(self, key: str, name: str, facet: tuple[int, int, Any]) -> None:
        self.facets[key][name] = max(self.facets[key].get(name, facet), facet, key=lambda one: one[:2])

    def states(self) -> Iterator[tuple[str, bool, int, dict[str, tuple[int, int, Any]]]]:
        """Give of every key: whether it lives, its delete clock, and its facets, hidden ones too."""
        for guid, seen in self.seen.items():
            order = sorted(((at, key) for key, at in seen.items()), reverse=True)
            for at, key in order if len(order) > 1 else ():
                other = order[key == order[0][1]]
                self._put(key, f"rekey:{guid.partition('.')[2]}", (other[0], 200, other[1]))
                if key != order[0][1]:
                    self._put(key, "moved", (at, order[0][0], order[0][1]))
        for key in self.facets.keys() | self.gone.keys():
            gone, (source, _, entity, _) = self.gone[key], key.split("/")
            all_ = {n: one for n, one in self.facets[key].items() if n == "merge" or one[0] > gone}
            if "moved" in all_ and self.facets[key].get("ids", (NEVER,))[0] > all_["moved"][0]:
                del all_["moved"]  # a number that is named again has come back
            by = LIVES_BY.get(entity) or LIVES_BY.get(source, "change")
            yield key, "moved" not in all_ and (by in all_ or gone == NEVER), gone, all_
