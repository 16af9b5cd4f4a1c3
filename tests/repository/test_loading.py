"""Loading one version: its instances, its queue, and what is left behind when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from naiad.core.config import DynamicBatching, InstanceGroup, Kind, ModelConfig, QueuePolicy
from naiad.core.errors import InvalidArgument
from naiad.core.problems import Cause, InvalidConfig
from naiad.repository.loading import Backends, Loaded, resolve_groups
from naiad.repository.resolve import Resolved
from tests.core.scripted import config
from tests.repository.site import FILES, ScriptedBackend, Site, opened


@pytest.fixture
def site() -> Iterator[Site]:
    with opened() as site:
        yield site


def with_groups(*groups: InstanceGroup) -> ModelConfig:
    return ModelConfig("m", instance_groups=groups)


def test_groups_get_names_and_an_automatic_kind_takes_the_gpus_there_are() -> None:
    auto = with_groups()
    assert resolve_groups(auto, ()) == (InstanceGroup("m", Kind.CPU),)
    assert resolve_groups(auto, (0, 1)) == (InstanceGroup("m", Kind.GPU, gpus=(0, 1)),)
    named = with_groups(InstanceGroup("x", Kind.CPU, 3), InstanceGroup(kind=Kind.GPU, gpus=(1,)))
    assert resolve_groups(named, (0, 1)) == (
        InstanceGroup("x", Kind.CPU, 3),
        InstanceGroup("m_1", Kind.GPU, gpus=(1,)),
    )


def test_a_group_without_a_count_gets_what_its_backend_makes_of_a_cpu() -> None:
    group = InstanceGroup("g", Kind.CPU, count=0)
    assert resolve_groups(ModelConfig("m", "onnxruntime", instance_groups=(group,)), ())[0].count == 2
    assert resolve_groups(ModelConfig("m", "identity", instance_groups=(group,)), ())[0].count == 1


@pytest.mark.parametrize(
    ("group", "gpus", "text"),
    [
        (InstanceGroup("g", Kind.GPU), (), "instance group g of model m has kind KIND_GPU but no GPUs are available"),
        (
            InstanceGroup("g", Kind.GPU, gpus=(3,)),
            (0, 1),
            "instance group g of model m specifies invalid or unsupported gpu id 3. GPUs that can be used are: 0, 1",
        ),
        (
            InstanceGroup("g", Kind.MODEL),
            (0,),
            "instance group g of model m has kind KIND_MODEL, expected KIND_AUTO, KIND_CPU or KIND_GPU",
        ),
    ],
)
def test_a_group_that_has_no_place_is_refused(group: InstanceGroup, gpus: tuple[int, ...], text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        resolve_groups(with_groups(group), gpus)
    (problem,) = caught.value.problems
    assert problem.text == text
    assert problem.found in text
    lacks_gpu = group.kind is Kind.GPU
    assert problem.remedy.startswith("Serve it where" if lacks_gpu else "Write ")
    assert problem.cause is (Cause.NO_GPU if lacks_gpu else Cause.MISTAKE)


def load(site: Site, count: int, shared: bool) -> Loaded:
    wanted = replace(config(), instance_groups=(InstanceGroup(kind=Kind.CPU, count=count),))
    backend = ScriptedBackend({})
    backend.shared = shared
    site.made.append(backend)
    site.loader._backends = Backends(lambda _: backend, lambda _: ())
    return site.loader.load(Resolved(wanted, FILES), 1, lambda _: "config.pbtxt")


@pytest.mark.parametrize(("shared", "loads"), [(True, 1), (False, 2)])
def test_instances_share_an_executable_where_it_allows_that(site: Site, shared: bool, loads: int) -> None:
    loaded = load(site, 2, shared)
    assert len(site.made[0].executables) == loads
    assert len(loaded.version.instances) == 2
    loaded.close()


def test_a_load_that_fails_halfway_leaves_nothing_behind(site: Site) -> None:
    with pytest.raises(InvalidArgument, match="no room for a third"):
        load(site, 3, shared=False)
    assert [executable.closed for executable in site.made[0].executables] == [True, True]
    assert site.made[0].closed


@pytest.mark.parametrize(
    ("own", "setting", "limit"), [(5, 9, 5), (0, 9, 9), (0, 0, 1024)], ids=["the config", "the server", "the rule"]
)
def test_the_queue_is_limited_by_the_config_or_the_server_or_the_rule(
    site: Site, own: int, setting: int, limit: int
) -> None:
    site.loader._max_queue_size = setting
    batched = ModelConfig(
        "m", max_batch_size=8, dynamic_batching=DynamicBatching(queue_policy=QueuePolicy(max_queue_size=own))
    )
    assert site.loader._queue_limit(batched, 2) == limit


def test_the_rule_grows_with_batch_size_and_instances(site: Site) -> None:
    assert site.loader._queue_limit(ModelConfig("m", max_batch_size=64), 2) == 32 * 64 * 2
