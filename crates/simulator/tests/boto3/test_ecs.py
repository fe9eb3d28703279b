"""ECS as boto3 sees it: pages, limits, names and ARNs, failures, modelled errors, and tasks by network mode."""

import pytest
from botocore.exceptions import ClientError

PREFIX = "arn:aws:ecs:eu-central-1:111122223333"
SERVICES = 21


def listed(ecs, operation, key, **parameters):
    """All items of a list and the size of each of its pages."""
    pages = [page[key] for page in ecs.get_paginator(operation).paginate(**parameters)]
    return [item for page in pages for item in page], [len(page) for page in pages]


def tasks_of(ecs, **filters):
    arns, _ = listed(ecs, "list_tasks", "taskArns", cluster="prod", **filters)
    tasks = []
    for start in range(0, len(arns), 100):
        answer = ecs.describe_tasks(cluster="prod", tasks=arns[start : start + 100])
        assert answer["failures"] == []
        tasks += answer["tasks"]
    return tasks


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    return caught.value


# Lists and their pages.


def test_services_come_ten_to_a_page_unless_asked_otherwise(ecs):
    arns, sizes = listed(ecs, "list_services", "serviceArns", cluster="prod")
    assert sizes == [10, 10, 1] and len(set(arns)) == SERVICES
    assert f"{PREFIX}:service/prod/many-15" in arns
    config = {"PageSize": 100}
    assert listed(ecs, "list_services", "serviceArns", cluster="prod", PaginationConfig=config) == (arns, [SERVICES])


def test_tasks_come_a_hundred_to_a_page(ecs):
    arns, sizes = listed(ecs, "list_tasks", "taskArns", cluster="prod")
    assert sizes[:-1] == [100] * (len(sizes) - 1) and len(sizes) == 4
    assert len(set(arns)) == len(arns) == sum(sizes)
    small = listed(ecs, "list_tasks", "taskArns", cluster="prod", PaginationConfig={"PageSize": 7})
    assert small[0] == arns and max(small[1]) == 7


def test_container_instances_and_clusters_are_listed(ecs):
    arns, sizes = listed(ecs, "list_container_instances", "containerInstanceArns", cluster="prod")
    assert sizes == [100, 5] and len(set(arns)) == 105
    draining, _ = listed(
        ecs, "list_container_instances", "containerInstanceArns", cluster="prod", status="DRAINING"
    )
    assert len(draining) == 1
    assert listed(ecs, "list_clusters", "clusterArns")[0] == [f"{PREFIX}:cluster/prod", f"{PREFIX}:cluster/default"]


def test_filters_of_lists(ecs):
    def count(**filters):
        return len(listed(ecs, "list_tasks", "taskArns", cluster="prod", **filters)[0])

    assert count(serviceName="many-3") == 16
    assert count(serviceName=f"{PREFIX}:service/prod/many-3") == 16
    assert count(family="migration") == 2
    assert count(startedBy="ci") == 2
    assert count(launchType="EXTERNAL") == 1
    assert count(serviceName="rolling", desiredStatus="STOPPED") == 2
    assert count(desiredStatus="PENDING") == 0
    assert count(serviceName="rolling", family="migration") == 0
    host = next(task for task in tasks_of(ecs, serviceName="nowhere"))["containerInstanceArn"]
    assert count(containerInstance=host) == count(containerInstance=host.rsplit("/")[-1]) >= 2
    services, _ = listed(ecs, "list_services", "serviceArns", cluster="prod", schedulingStrategy="DAEMON")
    assert services == [f"{PREFIX}:service/prod/daemon"]
    assert len(listed(ecs, "list_services", "serviceArns", cluster="prod", launchType="FARGATE")[0]) == 16


def test_the_default_cluster_is_meant_where_none_is_named(ecs):
    assert ecs.list_tasks()["taskArns"] == []
    assert [it["clusterName"] for it in ecs.describe_clusters()["clusters"]] == ["default"]


@pytest.mark.parametrize("operation", ["list_services", "list_tasks", "list_container_instances", "list_clusters"])
def test_limits_and_tokens_of_lists(ecs, operation):
    call = getattr(ecs, operation)
    where = {} if operation == "list_clusters" else {"cluster": "prod"}
    for size in (0, 101):
        refused("InvalidParameterException", call, maxResults=size, **where)
    refused("InvalidParameterException", call, nextToken="made up", **where)
    token = call(maxResults=1, **where)["nextToken"]
    assert call(maxResults=1, nextToken=token, **where) != call(maxResults=1, **where)
    refused("InvalidParameterException", call, nextToken=token[:-1], **where)


def test_a_token_belongs_to_its_list(ecs):
    token = ecs.list_tasks(cluster="prod", maxResults=1)["nextToken"]
    refused("InvalidParameterException", ecs.list_tasks, cluster="prod", family="web", nextToken=token)
    refused("InvalidParameterException", ecs.list_services, cluster="prod", nextToken=token)


# Limits, failures and errors of descriptions.


def test_batches_have_their_limits(ecs):
    many = [f"x{number}" for number in range(101)]
    for call, key, limit in (
        (ecs.describe_services, "services", 10),
        (ecs.describe_tasks, "tasks", 100),
        (ecs.describe_container_instances, "containerInstances", 100),
    ):
        assert len(call(cluster="prod", **{key: many[:limit]})["failures"]) == limit
        refused("InvalidParameterException", call, cluster="prod", **{key: many[: limit + 1]})
        refused("InvalidParameterException", call, cluster="prod", **{key: []})
    refused("InvalidParameterException", ecs.describe_clusters, clusters=many)


def test_what_is_missing_is_a_failure_beside_what_is_found(ecs):
    services = ecs.describe_services(cluster="prod", services=["many-1", "none"])
    assert [it["serviceName"] for it in services["services"]] == ["many-1"]
    assert services["failures"] == [{"arn": f"{PREFIX}:service/prod/none", "reason": "MISSING"}]
    tasks = ecs.describe_tasks(cluster="prod", tasks=["abc"])
    assert tasks["failures"] == [{"arn": f"{PREFIX}:task/prod/abc", "reason": "MISSING"}]
    instances = ecs.describe_container_instances(cluster="prod", containerInstances=["abc"])
    assert instances["failures"] == [{"arn": f"{PREFIX}:container-instance/prod/abc", "reason": "MISSING"}]
    clusters = ecs.describe_clusters(clusters=["prod", "none"])
    assert clusters["failures"] == [{"arn": f"{PREFIX}:cluster/none", "reason": "MISSING"}]


def test_unknown_clusters_services_and_definitions_raise_modelled_errors(ecs):
    for call, more in (
        (ecs.list_tasks, {}),
        (ecs.list_services, {}),
        (ecs.list_container_instances, {}),
        (ecs.describe_tasks, {"tasks": ["a"]}),
        (ecs.describe_services, {"services": ["a"]}),
        (ecs.describe_container_instances, {"containerInstances": ["a"]}),
    ):
        for cluster in ("none", f"{PREFIX}:cluster/none", "arn:aws:ecs:us-east-1:111122223333:cluster/prod"):
            with pytest.raises(ecs.exceptions.ClusterNotFoundException) as caught:
                call(cluster=cluster, **more)
            assert caught.value.response["message"] == "Cluster not found."
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(ecs.exceptions.ServiceNotFoundException):
        ecs.list_tasks(cluster="prod", serviceName="none")
    for definition in ("none", "web:9", f"{PREFIX}:task-definition/none:1"):
        with pytest.raises(ecs.exceptions.ClientException):
            ecs.describe_task_definition(taskDefinition=definition)


def test_parameters_that_cannot_be_are_refused(ecs):
    refused("InvalidParameterException", ecs.list_tasks, cluster="prod", launchType="MOON")
    refused("InvalidParameterException", ecs.list_tasks, cluster="prod", desiredStatus="GONE")
    refused("InvalidParameterException", ecs.list_tasks, cluster="prod", startedBy="ci", family="migration")
    refused("InvalidParameterException", ecs.list_tasks, cluster="prod", containerInstance="none")
    refused("InvalidParameterException", ecs.list_services, cluster="prod", schedulingStrategy="SOMETIMES")
    refused("InvalidParameterException", ecs.describe_tasks, cluster="prod", tasks=["a" * 37])
    other = f"{PREFIX}:task/default/0123456789abcdef0123456789abcdef"
    error = refused("InvalidParameterException", ecs.describe_tasks, cluster="prod", tasks=[other])
    assert "Identifier is for cluster default. Your cluster is prod" in str(error)


def test_names_and_arns_mean_the_same(ecs):
    arn = ecs.list_tasks(cluster=f"{PREFIX}:cluster/prod", serviceName="nowhere")["taskArns"][0]
    task_id = arn.rsplit("/")[-1]
    assert arn == f"{PREFIX}:task/prod/{task_id}" and len(task_id) == 32
    found = ecs.describe_tasks(cluster="prod", tasks=[arn, task_id, f"{PREFIX}:task/{task_id}"])
    assert [task["taskArn"] for task in found["tasks"]] == [arn] * 3
    found = ecs.describe_services(cluster="prod", services=["rolling", f"{PREFIX}:service/prod/rolling"])
    assert len(found["services"]) == 2
    for name in ("web", "web:8", f"{PREFIX}:task-definition/web:8"):
        definition = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        assert definition["taskDefinitionArn"] == f"{PREFIX}:task-definition/web:8"
    assert ecs.describe_task_definition(taskDefinition="web:7")["taskDefinition"]["revision"] == 7


# Services and definitions.


def test_a_rolling_deployment_has_two_revisions(ecs):
    service = ecs.describe_services(cluster="prod", services=["rolling"])["services"][0]
    assert service["taskDefinition"].endswith("web:8") and service["deploymentController"] == {"type": "ECS"}
    assert (service["desiredCount"], service["runningCount"], service["pendingCount"]) == (4, 4, 1)
    primary, active = service["deployments"]
    assert (primary["status"], primary["rolloutState"]) == ("PRIMARY", "IN_PROGRESS")
    assert (active["status"], active["runningCount"]) == ("ACTIVE", 2)
    assert active["taskDefinition"].endswith("web:7")
    revisions = {task["startedBy"]: task["taskDefinitionArn"] for task in tasks_of(ecs, serviceName="rolling")}
    assert revisions == {it["id"]: it["taskDefinition"] for it in service["deployments"]}


@pytest.mark.parametrize("name, controller", [("blue-green", "CODE_DEPLOY"), ("custom", "EXTERNAL")])
def test_other_controllers_have_task_sets(ecs, name, controller):
    service = ecs.describe_services(cluster="prod", services=[name])["services"][0]
    assert service["deploymentController"] == {"type": controller}
    assert service["deployments"] == [] and "taskDefinition" not in service
    (task_set,) = service["taskSets"]
    assert task_set["taskDefinition"].endswith(f"{name}:1") and task_set["status"] == "PRIMARY"


def test_a_definition_tells_ports_labels_and_health_check(ecs):
    definition = ecs.describe_task_definition(taskDefinition="web:8")["taskDefinition"]
    app, sidecar = definition["containerDefinitions"]
    assert definition["networkMode"] == "bridge" and app["image"] == "example/web:8"
    assert app["portMappings"] == [
        {"containerPort": 8080, "hostPort": 0, "protocol": "tcp"},
        {"containerPort": 8080, "hostPort": 18080, "protocol": "udp"},
        {"containerPortRange": "9000-9002", "protocol": "tcp"},
    ]
    assert app["dockerLabels"] == {"NOTIFY_ME_CONTAINER_PORT": "8080", "NOTIFY_ME_API_URI": "/v2/notify"}
    assert app["healthCheck"]["retries"] == 3 and app["essential"]
    assert not sidecar["essential"] and "dockerLabels" not in sidecar and "healthCheck" not in sidecar
    fargate = ecs.describe_task_definition(taskDefinition="many-1")["taskDefinition"]
    assert fargate["containerDefinitions"][0]["portMappings"][0]["hostPort"] == 8080
    assert fargate["compatibilities"] == ["FARGATE"]


# Tasks by network mode and place in their lives.


def test_bridge_tasks_have_bindings_while_they_run(ecs):
    tasks = [task for task in tasks_of(ecs, serviceName="rolling") if task["taskDefinitionArn"].endswith("web:8")]
    running, pending = (next(t for t in tasks if t["lastStatus"] == status) for status in ("RUNNING", "PENDING"))
    assert running["attachments"] == [] and running["group"] == "service:rolling" and running["launchType"] == "EC2"
    app, sidecar = running["containers"]
    tcp, udp, ports = app["networkBindings"]
    assert (tcp["bindIP"], tcp["containerPort"], tcp["protocol"]) == ("0.0.0.0", 8080, "tcp")
    assert tcp["hostPort"] >= 32768 and udp["hostPort"] == 18080
    first = int(ports["hostPortRange"].split("-")[0])
    assert ports["containerPortRange"] == "9000-9002" and ports["hostPortRange"] == f"{first}-{first + 2}"
    assert "containerPort" not in ports and "hostPort" not in ports
    assert app["networkInterfaces"] == [] and app["healthStatus"] == "HEALTHY"
    assert (sidecar["lastStatus"], sidecar["healthStatus"], sidecar["networkBindings"]) == ("STOPPED", "UNKNOWN", [])
    assert pending["desiredStatus"] == "RUNNING" and "startedAt" not in pending
    assert pending["containers"][0]["lastStatus"] == "PENDING" and pending["containers"][0]["networkBindings"] == []


def test_draining_and_stopped_tasks_are_listed_as_stopped(ecs):
    tasks = tasks_of(ecs, serviceName="rolling", desiredStatus="STOPPED")
    draining, stopped = sorted(tasks, key=lambda task: task["lastStatus"])
    assert draining["lastStatus"] == "RUNNING" and draining["containers"][0]["networkBindings"]
    assert stopped["lastStatus"] == "STOPPED" and stopped["stopCode"] == "ServiceSchedulerInitiated"
    assert stopped["stoppedAt"] and stopped["containers"][0]["exitCode"] == 0


def test_host_mode_reports_no_bindings(ecs):
    tasks = tasks_of(ecs, serviceName="daemon")
    assert len({task["containerInstanceArn"] for task in tasks}) == len(tasks) == 103
    assert all(task["containers"][0]["networkBindings"] == [] for task in tasks)
    assert all(task["attachments"] == [] for task in tasks)


def test_awsvpc_tasks_have_an_interface_of_their_own(ecs):
    task = tasks_of(ecs, serviceName="many-1")[0]
    (attachment,) = task["attachments"]
    details = {detail["name"]: detail["value"] for detail in attachment["details"]}
    assert (attachment["type"], attachment["status"]) == ("ElasticNetworkInterface", "ATTACHED")
    assert set(details) == {"subnetId", "networkInterfaceId", "macAddress", "privateIPv4Address"}
    (interface,) = task["containers"][0]["networkInterfaces"]
    assert interface == {"attachmentId": attachment["id"], "privateIpv4Address": details["privateIPv4Address"]}
    assert details["privateIPv4Address"].startswith("10.1.") and "containerInstanceArn" not in task
    assert task["containers"][0]["networkBindings"] == [] and task["platformVersion"] == "1.4.0"


def test_interfaces_of_ipv6_and_dual_stack_tasks(ecs):
    v6 = next(it for it in tasks_of(ecs, serviceName="blue-green") if it["lastStatus"] == "RUNNING")
    (interface,) = v6["containers"][0]["networkInterfaces"]
    assert interface["ipv6Address"].startswith("fd12:3456:789a:2::") and "privateIpv4Address" not in interface
    (dual,) = tasks_of(ecs, serviceName="managed")
    (interface,) = dual["containers"][0]["networkInterfaces"]
    assert interface["ipv6Address"] and interface["privateIpv4Address"]
    assert dual["launchType"] == "MANAGED_INSTANCES" and dual["containerInstanceArn"]


def test_an_interface_comes_and_goes_with_its_task(ecs):
    early = next(it for it in tasks_of(ecs, serviceName="blue-green") if it["lastStatus"] == "PROVISIONING")
    assert early["attachments"][0]["status"] == "PRECREATED" and early["containers"][0]["networkInterfaces"] == []
    (late,) = tasks_of(ecs, serviceName="blue-green", desiredStatus="STOPPED")
    assert late["attachments"][0]["status"] == "DELETED"
    assert late["containers"][0]["networkInterfaces"], "ECS goes on showing the address that was"


def test_standalone_tasks_have_the_group_of_their_family_or_their_own(ecs):
    assert {task["group"] for task in tasks_of(ecs, family="migration")} == {"family:migration"}
    (report,) = tasks_of(ecs, family="report")
    assert report["group"] == "nightly" and "startedBy" not in report


# Container instances.


def test_container_instances_name_their_machines(ecs):
    arns, _ = listed(ecs, "list_container_instances", "containerInstanceArns", cluster="prod")
    found = ecs.describe_container_instances(cluster="prod", containerInstances=arns[-100:])["containerInstances"]
    ids = [instance["ec2InstanceId"] for instance in found]
    assert sum(name.startswith("mi-") for name in ids) == 1
    assert all(name.startswith(("i-", "mi-")) for name in ids)
    draining = next(instance for instance in found if instance["status"] == "DRAINING")
    assert draining["agentConnected"] is False
