#!/usr/bin/env python3
"""Our own rules for the CloudFormation templates: what AWS's validator lets pass, and what we promise.

Usage: rules.py TEMPLATE... prints one line per finding and exits 1 if there is any.
"""

import re
import sys

import cfn

BOOLEAN = re.compile(r"^(true|false)$")
SECONDS = re.compile(r"^\d+$")

# The keys that the service takes, and the form of their values.
ATTRIBUTES = {
    "LoadBalancerAttributes": {
        "load_balancing.cross_zone.enabled": BOOLEAN,
        "deletion_protection.enabled": BOOLEAN,
        "dns_record.client_routing_policy":
            re.compile(r"^(any|partial)_availability_zone(_affinity)?$|^availability_zone_affinity$"),
    },
    "TargetGroupAttributes": {
        "deregistration_delay.timeout_seconds": SECONDS,
        "deregistration_delay.connection_termination.enabled": BOOLEAN,
        "preserve_client_ip.enabled": BOOLEAN,
        "proxy_protocol_v2.enabled": BOOLEAN,
        "stickiness.enabled": BOOLEAN,
        "target_health_state.unhealthy.connection_termination.enabled": BOOLEAN,
    },
    "ListenerAttributes": {"tcp.idle_timeout.seconds": SECONDS},
}
UPDATE_POLICY = {
    "AutoScalingRollingUpdate": {"MinInstancesInService", "MaxBatchSize", "MinSuccessfulInstancesPercent",
                                 "PauseTime", "WaitOnResourceSignals", "SuspendProcesses",
                                 "MinActiveInstancesPercent"},
    "AutoScalingScheduledAction": {"IgnoreUnmodifiedGroupSizeProperties"},
    "AutoScalingReplacingUpdate": {"WillReplace"},
}
TRANSITIONS = {"autoscaling:EC2_INSTANCE_TERMINATING", "autoscaling:EC2_INSTANCE_LAUNCHING"}
USER_DATA_MAX = 16 * 1024

# What the stack that people come from had, by name.
ORIGINAL_PARAMETERS = {
    "RedisClusterProxyThreadCount", "RedisClusterProxyAutoScallingCPUThreshold",
    "RedisClusterProxyDefaultInstanceCount", "RedisClusterProxyMinimalInstanceCount",
    "RedisClusterProxyMaximumInstanceCount", "RedisClusterProxyAMI", "RedisClusterProxyInstanceType",
    "RedisProxyClusterName", "RedisClusterConfigurationEndPoint", "RedisProxyVPC", "RedisProxySubnets",
    "RedisProxyKey", "RedisProxySecurityGroup",
}
ORIGINAL_OUTPUTS = {"RedisProxyNLBDNSName"}


def check_parameters(template):
    parameters = template["Parameters"]
    shown = [name for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
             for name in group["Parameters"]]
    for name in set(parameters) ^ set(shown):
        yield f"{name} is a parameter without a group, or the other way round"
    for name, parameter in parameters.items():
        if not parameter.get("Description"):
            yield f"{name} has no description"
        kind = parameter["Type"]
        if kind == "Number" and "AllowedValues" not in parameter and \
                not {"MinValue", "MaxValue"} <= set(parameter):
            yield f"{name} has no bounds"
        if kind == "String" and not {"AllowedPattern", "AllowedValues"} & set(parameter) \
                and not name.endswith("Key"):
            yield f"{name} takes any text"
        default = parameter.get("Default")
        if "AllowedPattern" in parameter and default is not None and \
                not re.search(parameter["AllowedPattern"], default):
            yield f"the default of {name} does not fit its own pattern"


def check_attributes(template):
    for name, resource in template["Resources"].items():
        for kind, known in ATTRIBUTES.items():
            for item in resource.get("Properties", {}).get(kind, []):
                key, value = item["Key"], item["Value"]
                if key not in known:
                    yield f"{name}: no such key in {kind}: {key}"
                elif isinstance(value, str) and not known[key].match(value):
                    yield f"{name}: bad value of {key}: {value}"


def check_group(template):
    for name, group in cfn.resources(template, "AutoScaling::AutoScalingGroup"):
        properties = group["Properties"]
        for policy, options in group.get("UpdatePolicy", {}).items():
            for option in set(options) - UPDATE_POLICY.get(policy, set()):
                yield f"{name}: no such option of {policy}: {option}"
        if not group.get("UpdatePolicy", {}).get("AutoScalingRollingUpdate", {}).get("WaitOnResourceSignals"):
            yield f"{name}: an update does not wait until new instances serve"
        if "ResourceSignal" not in group.get("CreationPolicy", {}):
            yield f"{name}: the stack is complete before its instances serve"
        if properties.get("HealthCheckType") != "ELB":
            yield f"{name}: a proxy that fails its check is never replaced"
        hooks = properties.get("LifecycleHookSpecificationList", [])
        for hook in hooks:
            if hook["LifecycleTransition"] not in TRANSITIONS:
                yield f"{name}: no such transition: {hook['LifecycleTransition']}"
            if hook["HeartbeatTimeout"] != {"Ref": "RedisProxyDrainSeconds"}:
                yield f"{name}: the hook may end before the drain"
        if not any(h["LifecycleHookName"] == "drain" for h in hooks):
            yield f"{name}: no hook named drain, which the instance completes"


def check_instances(template):
    for name, launch in cfn.resources(template, "EC2::LaunchTemplate"):
        if launch["Properties"]["LaunchTemplateData"].get("MetadataOptions", {}).get("HttpTokens") != "required":
            yield f"{name}: IMDSv1 is open"
    for name, text in cfn.user_data(template):
        if len(text) > USER_DATA_MAX - 1024:
            yield f"{name}: user data of {len(text)} bytes; the service takes {USER_DATA_MAX}"
        signalled = re.search(r"--resource (\w+)", text)
        if not signalled or "CreationPolicy" not in template["Resources"].get(signalled.group(1), {}):
            yield f"{name}: user data signals nobody who waits"


def check_balancer(template):
    for name, target in cfn.resources(template, "ElasticLoadBalancingV2::TargetGroup"):
        properties = target["Properties"]
        attributes = {a["Key"]: a["Value"] for a in properties["TargetGroupAttributes"]}
        if properties["HealthCheckProtocol"] == "TCP" and {"HealthCheckPath", "Matcher"} & set(properties):
            yield f"{name}: a TCP check has neither path nor matcher"
        if "VpcId" not in properties:
            yield f"{name}: in no network"
        if properties["HealthCheckIntervalSeconds"] != 10:
            yield f"{name}: checks every {properties['HealthCheckIntervalSeconds']} seconds instead of 10"
        if attributes.get("deregistration_delay.timeout_seconds") != {"Ref": "RedisProxyDrainSeconds"}:
            yield f"{name}: the balancer's delay is not that of the proxy's drain"
        if attributes.get("deregistration_delay.connection_termination.enabled") != "false":
            yield f"{name}: the balancer cuts connections that the proxy closes behind a reply"
    for name, balancer in cfn.resources(template, "ElasticLoadBalancingV2::LoadBalancer"):
        properties = balancer["Properties"]
        attributes = {a["Key"]: a["Value"] for a in properties["LoadBalancerAttributes"]}
        if attributes.get("load_balancing.cross_zone.enabled") != "true":
            yield f"{name}: without cross-zone"
        if properties.get("Type") != "network" or properties.get("Scheme") != "internal":
            yield f"{name}: not an internal network load balancer"
        if not properties.get("SecurityGroups"):
            yield f"{name}: a security group can only be given at the start"


def check_logs(template):
    """A group that is kept has a name that no other stack wants."""
    for name, group in cfn.resources(template, "Logs::LogGroup"):
        if group.get("DeletionPolicy") == "Retain" and "AWS::StackId" not in str(group["Properties"].get("LogGroupName")):
            yield f"{name}: stays when the stack goes, and then another stack of that name cannot be made"


def check_rights(template):
    for name, role in cfn.resources(template, "IAM::Role"):
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                statement = statement.get("Fn::If", [None, statement])[1]
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    if "*" in action:
                        yield f"{name}: {action} is more than it needs"
                if statement["Resource"] == "*" and actions != "ecr:GetAuthorizationToken":
                    yield f"{name}: {actions} on everything"


def check_original(template):
    """The names of the stack that this one replaces."""
    if "RedisProxyNLBDNSName" not in template["Outputs"] and "RedisProxyVPC" not in template["Parameters"]:
        return
    for name in sorted(ORIGINAL_PARAMETERS - set(template["Parameters"])):
        yield f"the parameter {name} is missing"
    for name in sorted(ORIGINAL_OUTPUTS - set(template["Outputs"])):
        yield f"the output {name} is missing"


CHECKS = [check_parameters, check_attributes, check_group, check_instances, check_balancer, check_logs,
          check_rights, check_original]


def findings(text):
    template = cfn.parse(text)
    return [line for check in CHECKS for line in check(template)]


def main():
    bad = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as f:
            for line in findings(f.read()):
                print(f"{path}: {line}")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
