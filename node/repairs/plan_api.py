"""The plan for programs: teams, routes, due times, steps up and replies, changed as a whole."""

from typing import Annotated

import msgspec
from litestar import get, put
from litestar.params import JSONBody
from sqlalchemy.orm import Session

from node.repairs import plan
from node.repairs.access import PLANNERS, STAFF
from node.web.session import AnyRequest, house, require


class PlanBody(msgspec.Struct):
    """`version` is the one that was seen: a plan that changed meanwhile is not overwritten."""

    version: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    plan: plan.Plan


@get("/api/repairs/plan")
async def show_plan(request: AnyRequest) -> PlanBody:
    """The plan in force, for staff; version 0 is what a new community begins with."""
    require(request, *STAFF)
    with house(request).database.read() as session:
        return PlanBody(*plan.current(session))


@put("/api/repairs/plan")
async def change_plan(request: AnyRequest, data: JSONBody[PlanBody]) -> PlanBody:
    """Make this the plan from now on (clerk, operator)."""
    who, node = require(request, *PLANNERS), house(request)

    def command(session: Session) -> PlanBody:
        plan.change(session, node.clock, seen=data.version, plan=data.plan, changed_by=who.actor)
        return PlanBody(*plan.current(session))

    return await node.database.run(command)


routes = [show_plan, change_plan]
