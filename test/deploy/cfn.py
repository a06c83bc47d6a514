"""Reads a CloudFormation template: YAML with its short forms, and user data with the values put in."""

import re

import yaml


class _Loader(yaml.SafeLoader):
    """`!Ref x` becomes {"Ref": "x"}, `!Sub x` {"Fn::Sub": "x"}, `!GetAtt a.b` {"Fn::GetAtt": ["a", "b"]}."""


def _short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix: value}


_Loader.add_multi_constructor("!", _short_form)


def parse(text):
    return yaml.load(text, _Loader)


def resources(template, kind):
    """(name, resource) of each resource of a type, "AWS::" left out."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::" + kind:
            yield name, resource


def user_data(template):
    """(name of the resource, the text inside of Fn::Sub) of each user data."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        data = properties.get("LaunchTemplateData", properties).get("UserData")
        if data is not None:
            yield name, data["Fn::Base64"]["Fn::Sub"]


def substitute(text, values):
    """What Fn::Sub makes of it. A name without a value is an error."""
    def value_of(match):
        name = match.group(1)
        return "${" + name[1:] + "}" if name.startswith("!") else str(values[name])
    return re.sub(r"\$\{([^}]+)\}", value_of, text)


def pseudo_values():
    return {
        "AWS::Region": "eu-central-1",
        "AWS::AccountId": "123456789012",
        "AWS::StackName": "test-stack",
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
    }


def default_values(template):
    return {name: p["Default"] for name, p in template["Parameters"].items() if "Default" in p}
