"""The compiler: all declared objects in, one flow and a report for every object out. Pure."""

from tocsin.flow.compiler.alone import Examined, examine
from tocsin.flow.compiler.compilation import Compiled, compile_flow
from tocsin.flow.compiler.report import (
    ChainFacts,
    ChannelFacts,
    Facts,
    IntegrationFacts,
    Report,
    ResponderFacts,
    RouteFacts,
    RoutePlace,
    RuleFacts,
    TemplateFacts,
    WindowFacts,
)

__all__ = [
    "ChainFacts",
    "ChannelFacts",
    "Compiled",
    "Examined",
    "Facts",
    "IntegrationFacts",
    "Report",
    "ResponderFacts",
    "RouteFacts",
    "RoutePlace",
    "RuleFacts",
    "TemplateFacts",
    "WindowFacts",
    "compile_flow",
    "examine",
]
