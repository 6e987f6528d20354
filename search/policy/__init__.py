"""Every tunable number of a search: a value that is passed to whoever goes by it, and kept in no file."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.search.policy.doctor import DescentPolicy, ExaminationPolicy, ProofPolicy, SurveyPolicy
from archdsl.search.policy.evaluate import (
    BudgetSharePolicy,
    ExportedFilesPolicy,
    FinalistPolicy,
    FinalReadingPolicy,
    GatePolicy,
    GivingUpPolicy,
    MeasuringPolicy,
    SilencePolicy,
    TimePolicy,
    WorkerPolicy,
)
from archdsl.search.policy.inherit import InheritancePolicy, OwnLibraryPolicy, OwnParentPolicy, ReachPolicy
from archdsl.search.policy.predict import (
    EarlyStoppingPolicy,
    FormulaPolicy,
    LatencyModelPolicy,
    PreselectionPolicy,
    ScreenPolicy,
    SurrogatePolicy,
)
from archdsl.search.policy.propose import (
    DrawingPolicy,
    EvolutionPolicy,
    SamplerPolicy,
    ScalingPolicy,
    SharingPolicy,
    StudyPolicy,
)
from archdsl.search.policy.proxy_check import ProxyCheckPolicy
from archdsl.search.policy.report import ReportPolicy


@dataclass(frozen=True)
class Policy:
    """What decides how a search goes about what it was asked for, by what it is about."""

    samplers: SamplerPolicy = field(default_factory=SamplerPolicy)
    evolution: EvolutionPolicy = field(default_factory=EvolutionPolicy)
    scaling: ScalingPolicy = field(default_factory=ScalingPolicy)
    drawing: DrawingPolicy = field(default_factory=DrawingPolicy)
    study: StudyPolicy = field(default_factory=StudyPolicy)
    sharing: SharingPolicy = field(default_factory=SharingPolicy)
    latency_model: LatencyModelPolicy = field(default_factory=LatencyModelPolicy)
    formula: FormulaPolicy = field(default_factory=FormulaPolicy)
    surrogate: SurrogatePolicy = field(default_factory=SurrogatePolicy)
    preselection: PreselectionPolicy = field(default_factory=PreselectionPolicy)
    screen: ScreenPolicy = field(default_factory=ScreenPolicy)
    early_stopping: EarlyStoppingPolicy = field(default_factory=EarlyStoppingPolicy)
    budget_share: BudgetSharePolicy = field(default_factory=BudgetSharePolicy)
    gate: GatePolicy = field(default_factory=GatePolicy)
    measuring: MeasuringPolicy = field(default_factory=MeasuringPolicy)
    exported_files: ExportedFilesPolicy = field(default_factory=ExportedFilesPolicy)
    inheritance: InheritancePolicy = field(default_factory=InheritancePolicy)
    own_parent: OwnParentPolicy = field(default_factory=OwnParentPolicy)
    reach: ReachPolicy = field(default_factory=ReachPolicy)
    own_library: OwnLibraryPolicy = field(default_factory=OwnLibraryPolicy)
    finalists: FinalistPolicy = field(default_factory=FinalistPolicy)
    final_reading: FinalReadingPolicy = field(default_factory=FinalReadingPolicy)
    worker: WorkerPolicy = field(default_factory=WorkerPolicy)
    silence: SilencePolicy = field(default_factory=SilencePolicy)
    time: TimePolicy = field(default_factory=TimePolicy)
    giving_up: GivingUpPolicy = field(default_factory=GivingUpPolicy)
    survey: SurveyPolicy = field(default_factory=SurveyPolicy)
    proof: ProofPolicy = field(default_factory=ProofPolicy)
    descent: DescentPolicy = field(default_factory=DescentPolicy)
    examination: ExaminationPolicy = field(default_factory=ExaminationPolicy)
    proxy_check: ProxyCheckPolicy = field(default_factory=ProxyCheckPolicy)
    report: ReportPolicy = field(default_factory=ReportPolicy)


SHIPPED = Policy()
"""What a search goes by where nothing else is passed."""
