"""
AWS's answers held against AWS's own service models, member by member. botocore does not do so: it ignores what it does
not know, and takes what is missing for absent.
"""

import base64
import binascii
import re

import botocore.session

# Answers of every AWS service ("Common errors" in each API reference), which no model lists.
COMMON_ERRORS = {
    "ValidationException",
    "ThrottlingException",
    "AccessDeniedException",
}

definitions = {
    service: botocore.session.get_session().get_service_data(service)["shapes"] for service in ("kms", "cloudhsmv2", "cloudtrail")
}

def against_operation(model, status, body):
    """What is wrong with a raw answer, of an operation of botocore's model. `body` is the parsed JSON, or None."""
    name = f"{model.service_model.service_name}:{model.name}"
    if status != 200:
        return against_errors(model, status, body, name)
    if model.output_shape is None:
        return [] if body is None else [f"{name}: has no output in the model, and a body here"]
    return against_model(model.output_shape, body, name)


def against_model(shape, value, path):
    """What is wrong with a raw JSON value, for the shape of AWS's model."""
    kind = shape.type_name
    limits = shape.metadata
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        problems = [f"{path}: no member {name} in the model" for name in value if name not in known]
        problems += [f"{path}: {name} is missing" for name in shape.required_members if name not in value]
        for name, member in known.items():
            if name in value:
                problems += against_model(member, value[name], f"{path}.{name}")
        return problems
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        items = [against_model(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)]
        return outside(limits, len(value), path) + sum(items, [])
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{path}: not a map"]
        problems = []
        for key, item in value.items():
            problems += against_model(shape.key, key, f"{path} key")
            problems += against_model(shape.value, item, f"{path}.{key}")
        return problems
    if kind == "blob":
        try:
            return outside(limits, len(base64.b64decode(value, validate=True)), path)
        except (TypeError, binascii.Error):
            return [f"{path}: not base64"]
    if kind == "string":
        if not isinstance(value, str):
            return [f"{path}: not a string"]
        problems = outside(limits, len(value), path)
        if "pattern" in limits and not re.search(limits["pattern"], value):
            problems.append(f"{path}: {value!r} is not of the form {limits['pattern']}")
        if getattr(shape, "enum", None) and value not in shape.enum:
            problems.append(f"{path}: {value!r} is none of {shape.enum}")
        return problems
    wanted = {
        "boolean": bool,
        "integer": int,
        "long": int,
        "float": (int, float),
        "double": (int, float),
        # AWS JSON 1.1: seconds since the epoch.
        "timestamp": (int, float),
    }[kind]
    right = isinstance(value, wanted) and (kind == "boolean" or not isinstance(value, bool))
    return [] if right else [f"{path}: {value!r} is no {kind}"]


def outside(limits, size, path):
    if size < limits.get("min", 0):
        return [f"{path}: shorter than {limits['min']}"]
    if size > limits.get("max", size):
        return [f"{path}: longer than {limits['max']}"]
    return []


def against_errors(model, status, body, name):
    code = body.get("__type")
    shapes = {shape.name: shape for shape in model.error_shapes}
    if code not in shapes:
        return [] if code in COMMON_ERRORS and status == 400 else [f"{name}: {code} is no error of this operation"]
    shape = shapes[code]
    # botocore's Shape does not tell whose fault an error is; the model that it is made from does.
    is_service_fault = definitions[model.service_model.service_name][code].get("fault", False)
    expected = 500 if is_service_fault else 400
    members = {member: value for member, value in body.items() if member != "__type"}
    problems = against_model(shape, members, f"{name} {code}")
    if status != expected:
        problems.append(f"{name} {code}: status {status}, not {expected}")
    return problems
