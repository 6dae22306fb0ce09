# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places a batch of identical instances: limits, room, order, and as many at once as the rules allow."""

from __future__ import annotations

from ..feasible.limits import Limits, RuleBook, spread_shares
from ..feasible.state import Placed, State
from ..feasible.topology import Domains
from ..model import Group
from ..numeric import Bools, Floats, Ints, np
from .lp_prices import Guide
from .score import best_first, order_key


class Placer:
    """Finds places for instances, group by group, on one state."""

    def __init__(self, state: State, book: RuleBook, sizes: Floats, guide: Guide | None = None) -> None:
        self.guide = guide
        self.state = state
        self.book = book
        self.sizes = sizes
        self.extra: Floats | None = None

    def place(
        self, group: Group, wanted: int, placed: Placed, extra: Floats | None = None, only: Bools | None = None
    ) -> int:
        """Place up to ``wanted`` instances; return how many found a place.

        :param only: hosts to choose from.
        :param extra: amounts to hold back beside each of them, for others that must lie on its host.
        """
        found = 0
        self.extra = extra
        while found < wanted:
            limits = self.book.limits(self.state, group)
            if only is not None:
                limits.mask &= only
            hosts = self._batch(group, wanted - found, limits)
            if not len(hosts):
                break
            self.state.place(group.id, group.claims, hosts, placed)
            found += len(hosts)
        return found

    def candidates(self, group: Group, limits: Limits) -> tuple[Ints, Floats]:
        """Hosts that can take at least one instance, and how many each can."""
        mask = limits.mask
        demand = self.state.problem.demand[group.claims]
        for dimension in np.flatnonzero(demand).tolist():
            mask = mask & (self.state.free[dimension] >= demand[dimension])
        for domains, quota in limits.quotas:
            mask = mask & (np.append(quota, np.inf)[domains.of] >= 1)
        rows = np.flatnonzero(mask)
        room = self.state.room(group.claims, rows)
        if self.extra is not None:
            together = demand + self.extra
            for dimension in np.flatnonzero(together).tolist():
                room = np.minimum(room, np.floor(self.state.free[dimension, rows] / together[dimension]))
        fits = room >= 1
        return (rows, room) if fits.all() else (rows[fits], room[fits])

    def _batch(self, group: Group, wanted: int, limits: Limits) -> Ints:
        rows, room = self.candidates(group, limits)
        if not len(rows):
            return rows
        for domains in limits.together:
            rows, room = self._gather(group, wanted, limits, domains, rows, room)
        one = limits.one_by_one or len(limits.spreads) > 1
        if one:
            wanted = 1
        if group.mode == "binpack" and self.guide is None and limits.penalty is None and not limits.spreads:
            rows, room = self._in_use(rows, room, wanted, limits)
        key = order_key(self.state, group.mode, group.claims, rows, self.sizes, limits.penalty, self.guide)
        room = np.minimum(room, wanted)
        wide = [(domains, quota) for domains, quota in limits.quotas if domains.topology != "host"]
        for domains, quota in limits.quotas:
            if domains.topology == "host":
                room = np.minimum(room, quota[rows])
        order = np.lexsort((rows, key)) if limits.spreads or wide else best_first(key, rows, wanted)
        rows, room, key = rows[order], room[order], key[order]
        for domains, quota in wide:
            room = within_quota(room, domains.of[rows], quota)
        for rule, domains, counts, eligible in limits.spreads:
            of = domains.of[rows]
            by_domain: Floats = np.bincount(of, weights=room, minlength=len(domains)).astype(np.float64)
            shares: Ints = spread_shares(counts, eligible, by_domain, rule.max_skew, wanted)
            if len(limits.spreads) > 1:
                least = counts[eligible].min() if eligible.any() else 0.0
                shares = ((counts + 1 <= least + rule.max_skew) & eligible).astype(np.int64)
            elif group.mode != "binpack":
                return self._by_domain(group, rows, room, key, of, shares)
            room = within_quota(room, of, shares)
        return self._fill(group, rows, room, key, wanted)

    def _in_use(self, rows: Ints, room: Floats, wanted: int, limits: Limits) -> tuple[Ints, Floats]:
        """Only the hosts in use, where these suffice: the others would come after them anyway."""
        if any(domains.topology != "host" for domains, _quota in limits.quotas):
            return rows, room
        used = self.state.instances[rows] > 0
        capped = np.minimum(room[used], wanted)
        for _domains, quota in limits.quotas:
            capped = np.minimum(capped, quota[rows[used]])
        return (rows[used], room[used]) if capped.sum() >= wanted else (rows, room)

    def _by_domain(self, group: Group, rows: Ints, room: Floats, key: Floats, of: Ints, shares: Ints) -> Ints:
        parts = [
            self._fill(group, rows[of == domain], room[of == domain], key[of == domain], int(shares[domain]))
            for domain in np.flatnonzero(shares).tolist()
        ]
        return np.concatenate(parts) if parts else rows[:0]

    def _fill(self, group: Group, rows: Ints, room: Floats, key: Floats, wanted: int) -> Ints:
        """Give out ``wanted`` instances over hosts in order of preference."""
        if group.mode != "binpack":
            return level(self.state, group, rows, room, key, wanted)
        start = np.cumsum(room) - room
        take = np.clip(wanted - start, 0, room).astype(np.int64)
        return np.repeat(rows, take)

    def _gather(
        self, group: Group, wanted: int, limits: Limits, domains: Domains, rows: Ints, room: Floats
    ) -> tuple[Ints, Floats]:
        """Keep one domain: the tightest that holds all, or for lack of one the roomiest."""
        of = domains.of[rows]
        capped = np.minimum(room, wanted)
        for other, quota in limits.quotas:
            capped = within_quota(capped, other.of[rows], quota)
        total = np.bincount(of, weights=capped, minlength=len(domains))
        enough = total >= wanted
        if not enough.any():
            best = int(np.argmax(total))
        elif group.mode == "binpack":
            in_use = np.bincount(of, weights=capped * (self.state.instances[rows] > 0), minlength=len(domains))
            opened = np.where(enough, np.maximum(wanted - in_use, 0.0), np.inf)
            best = int(np.lexsort((np.arange(len(total)), total, opened))[0])
        else:
            best = int(np.argmax(total))
        mine = of == best
        return rows[mine], room[mine]


def within_quota(room: Floats, of: Ints, quota: Floats | Ints) -> Floats:
    """Cut ``room`` of hosts (in order of preference) so that no domain exceeds its quota."""
    limit = np.append(np.asarray(quota, dtype=np.float64), np.inf)[of]
    order = np.argsort(of, kind="stable")
    ordered = room[order]
    total = np.cumsum(ordered) - ordered
    starts = np.flatnonzero(np.diff(of[order], prepend=-2))
    before = total - np.repeat(total[starts], np.diff(np.append(starts, len(order))))
    cut = np.zeros(len(room))
    cut[order] = np.clip(limit[order] - before, 0.0, ordered)
    return cut


def level(state: State, group: Group, rows: Ints, room: Floats, key: Floats, wanted: int) -> Ints:
    """The least loaded hosts first, each step raising the load of the host that got one.

    In mode spread, a host gets a second member of a group only after all others got one.
    """
    capacity = state.problem.hosts.capacity
    demand = state.problem.demand[group.claims]
    step = np.zeros(len(rows))
    for dimension in np.flatnonzero(demand).tolist():
        step = np.maximum(step, demand[dimension] / np.maximum(capacity[dimension, rows], 1.0))
    step = step + 1e-6
    here = np.bincount(state.hosts_of(group.id), minlength=len(state.instances))[rows].astype(np.float64)
    turns = np.zeros(len(rows))
    chosen: list[Ints] = []
    missing = wanted
    while missing > 0:
        open_rows = np.flatnonzero(turns < room)
        if not len(open_rows):
            break
        own = here[open_rows] + turns[open_rows] if group.mode == "spread" else np.zeros(len(open_rows))
        now = key[open_rows] + turns[open_rows] * step[open_rows] + own
        if group.mode == "balanced":
            now = np.where((turns[open_rows] > 0) & (key[open_rows] >= 8.0), now - 8.0, now)
        best = open_rows[best_first(now, rows[open_rows], min(missing, len(open_rows)))[:missing]]
        if group.mode != "spread" or len(best) > 1:
            best = best[: max(1, _leading(now, open_rows, best, step))]
        turns[best] += 1
        chosen.append(rows[best])
        missing -= len(best)
    return np.concatenate(chosen) if chosen else rows[:0]


def _leading(now: Floats, open_rows: Ints, best: Ints, step: Floats) -> int:
    """How many of the best hosts may get one each before the first of them would deserve a second."""
    at = now[np.searchsorted(open_rows, best)]
    again = at[0] + step[best[0]]
    return int(np.searchsorted(at, max(again, at[0] + 1e-9), side="right"))
