#!/usr/bin/env python3
"""Plants one error at a time into slotgate.yaml; AWS's validator or our rules have to find each.

Usage: plants.py TEMPLATE FOLDER. Writes each planted template to the FOLDER, runs both over them
and prints who found what. A row that nobody finds, or whose text is not there any more, fails.
"""

import os
import subprocess
import sys

import rules

# What goes wrong, the text that is there once, and what takes its place.
PLANTS = [
    ("a property that does not exist", "InstanceMaintenancePolicy:", "InstanceMaintenancePolicies:"),
    ("a text where a number belongs", "HealthyThresholdCount: 2\n      Un", "HealthyThresholdCount: two\n      Un"),
    ("a required property left out", "      GroupDescription: Slotgate proxies\n", ""),
    ("a target group in no network", "      VpcId: !Ref RedisProxyVPC\n      TargetType", "      TargetType"),
    ("a reference to nothing", "!Ref RedisProxySubnets\n      SecurityGroups", "!Ref RedisProxySubnet\n      SecurityGroups"),
    ("an attribute that a resource does not have", "LoadBalancer.DNSName", "LoadBalancer.DnsName"),
    ("a resource type that does not exist", "AWS::CloudWatch::Alarm\n    Properties:\n      AlarmDescription: A proxy",
     "AWS::CloudWatch::Alert\n    Properties:\n      AlarmDescription: A proxy"),
    ("a value that the service does not know", "Protocol: TCP\n      ListenerAttributes", "Protocol: TPC\n      ListenerAttributes"),
    ("a circle of references", "    DependsOn: Listener\n", "    DependsOn: ScaleOnCpu\n"),
    ("a name in Fn::Sub that is nowhere", "--stack '${AWS::StackName}'", "--stack '${StackName}'"),
    ("a number out of range", "HealthCheckIntervalSeconds: 10", "HealthCheckIntervalSeconds: 3"),
    ("a condition that is not defined", "Condition: ScalesOnFlows\n", "Condition: ScaleOnFlows\n"),
    ("a parameter that nobody uses", "  AlarmTopic:\n    Type: String", "  Unused:\n    Type: String\n    Default: a\n  AlarmTopic:\n    Type: String"),
    ("a misspelt effect of a policy", "Sid: WriteTheLog\n                Effect: Allow", "Sid: WriteTheLog\n                Effect: Alow"),
    ("a misspelt option deep inside", "VolumeType: gp3,", "VolumeTyp: gp3,"),
    ("a launch configuration", "AWS::EC2::LaunchTemplate\n", "AWS::AutoScaling::LaunchConfiguration\n"),
    ("a misspelt key of the target group", "deregistration_delay.timeout_seconds", "deregistration_delay.timeout"),
    ("a misspelt key of the balancer", "load_balancing.cross_zone.enabled", "load_balancing.crosszone.enabled"),
    ("a misspelt key of the listener", "tcp.idle_timeout.seconds", "tcp.idle_timeout_seconds"),
    ("a misspelt option of the rolling update", "WaitOnResourceSignals", "WaitOnResourceSignal"),
    ("a transition that does not exist", "EC2_INSTANCE_TERMINATING", "EC2_INSTANCE_TERMINATE"),
    ("a path for a TCP check", "HealthCheckPort: traffic-port", "HealthCheckPort: traffic-port\n      HealthCheckPath: /ready"),
    ("IMDSv1", "HttpTokens: required", "HttpTokens: optional"),
    ("an original parameter under another name", "RedisClusterProxyAutoScallingCPUThreshold", "RedisClusterProxyAutoScalingCPUThreshold"),
    ("the original output under another name", "  RedisProxyNLBDNSName:", "  RedisProxyDnsName:"),
    ("a right to everything", "Action: autoscaling:CompleteLifecycleAction", "Action: autoscaling:*"),
    ("a group that ignores the balancer's check", "HealthCheckType: ELB", "HealthCheckType: EC2"),
    ("a signal to somebody else", "--resource AutoScalingGroup", "--resource LaunchTemplate"),
    ("a balancer that cuts connections while they are drained", 'termination.enabled, Value: "false"', 'termination.enabled, Value: "true"'),
    ("a hook that ends before the drain", "HeartbeatTimeout: !Ref RedisProxyDrainSeconds", "HeartbeatTimeout: 30"),
    ("a log group that stands in the way of the next stack", ', !Select [2, !Split ["/", !Ref AWS::StackId]]', ""),
    ("a default outside of its own bounds", "Default: 10.0.0.0/8", "Default: everybody"),
]
EVERYWHERE = {"RedisClusterProxyAutoScallingCPUThreshold"}


def plant(text, name, old, new):
    count = text.count(old)
    if count != 1 and old not in EVERYWHERE:
        sys.exit(f"plant '{name}': its text is there {count} times")
    return text.replace(old, new)


def validator_findings(paths):
    """{path: first finding} of AWS's validator."""
    here = os.path.dirname(os.path.abspath(__file__))
    output = subprocess.run(["node", os.path.join(here, "validate.js"), *paths], capture_output=True, text=True)
    if output.returncode not in (0, 1) or output.stderr:
        sys.exit(f"the validator fails: {output.stderr}")
    found = {}
    for line in output.stdout.splitlines():
        path, rest = line.split(":", 1)
        if " error " in rest:
            found.setdefault(path, rest.split(" error ", 1)[1])
    return found


def main():
    template, folder = sys.argv[1:3]
    with open(template, encoding="utf-8") as f:
        good = f.read()
    paths = {}
    for number, (name, old, new) in enumerate(PLANTS):
        paths[name] = os.path.join(folder, f"plant-{number:02}.yaml")
        with open(paths[name], "w", encoding="utf-8") as f:
            f.write(plant(good, name, old, new))
    theirs = validator_findings(list(paths.values()))
    missed = 0
    for name, path in paths.items():
        with open(path, encoding="utf-8") as f:
            try:
                ours = rules.findings(f.read())
            except Exception as e:  # a template that is broken so far that no rule can read it
                ours = [repr(e)] if path not in theirs else []
        who = " and ".join(w for w, found in (("AWS", path in theirs), ("ours", ours)) if found)
        print(f"  {name}: {who or 'NOBODY'}: {theirs.get(path) or (ours or [''])[0]}"[:160])
        missed += not who
    print(f"{len(PLANTS) - missed} of {len(PLANTS)} planted errors found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
