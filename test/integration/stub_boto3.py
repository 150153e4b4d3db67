"""
The SoftHSM2 stub, used as boto3 uses AWS: nothing but the environment says where it is. Every answer is also held
against AWS's own service model.

Prints one JSON value: {"tests": {name: null or what failed}, "operations": [...], "errors": {operation: [code]}}.
"""

import hashlib
import json
import os
import sys
import unittest
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from stub_service_model import against_operation

succeeded = set()
failed = {}


class NotOfTheModel(AssertionError):
    pass


def check_answer(http_response, model, **_):
    """On every answer of every call, before the test that made it sees it."""
    name = f"{model.service_model.service_name}:{model.name}"
    content_type = http_response.headers["content-type"]
    if content_type != "application/x-amz-json-1.1":
        raise NotOfTheModel(f"{name}: {content_type}")
    body = None if http_response.content == b"" else json.loads(http_response.content)
    problems = against_operation(model, http_response.status_code, body)
    if problems:
        raise NotOfTheModel("; ".join(problems))
    if http_response.status_code == 200:
        succeeded.add(name)
    else:
        failed.setdefault(name, set()).add(body["__type"])


def client(service, **options):
    made = boto3.client(service, config=Config(retries={"total_max_attempts": 1}, **options))
    made.meta.events.register("after-call", check_answer)
    return made


kms = client("kms")
cloudhsm = client("cloudhsmv2")
cloudtrail = client("cloudtrail")
# Sends what boto3 would not: too long, too short, of no such kind.
careless = client("kms", parameter_validation=False)
careless_cloudhsm = client("cloudhsmv2", parameter_validation=False)
careless_cloudtrail = client("cloudtrail", parameter_validation=False)
errors = kms.exceptions


def admin(command, **body):
    """The stub's own API, for what at AWS time or an accident does."""
    request = urllib.request.Request(
        f"{os.environ['AWS_ENDPOINT_URL_KMS']}/_stub/{command}",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def pass_time():
    """Longer than connecting and disconnecting take."""
    pass_time.offset += 3600
    return admin("clock", offsetSeconds=pass_time.offset)


pass_time.offset = 0


def new_cluster():
    made = admin("clusters")
    return made["clusterId"], made["trustAnchorCertificate"]


def new_key_store(name):
    cluster_id, trust_anchor = new_cluster()
    store_id = kms.create_custom_key_store(
        CustomKeyStoreName=name,
        CloudHsmClusterId=cluster_id,
        TrustAnchorCertificate=trust_anchor,
        KeyStorePassword="kmsuser-password",
    )["CustomKeyStoreId"]
    return store_id, cluster_id


def connected_key_store(name):
    store_id, cluster_id = new_key_store(name)
    kms.connect_custom_key_store(CustomKeyStoreId=store_id)
    pass_time()
    return store_id, cluster_id


def key_in(store_id, **options):
    made = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store_id, **options)
    return made["KeyMetadata"]["Arn"]


def signing_key(spec, **options):
    return kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY", **options)["KeyMetadata"]["Arn"]


HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
UNKNOWN_KEY = "00000000-0000-4000-8000-000000000000"
MESSAGE = b"to be signed"


def verify(public_key, algorithm, signature, message=MESSAGE):
    """By pyca/cryptography. Raises InvalidSignature."""
    chosen = HASHES[algorithm[-3:]]
    if algorithm.startswith("ECDSA"):
        public_key.verify(signature, message, ec.ECDSA(chosen))
    elif algorithm.startswith("RSASSA_PSS"):
        pss = padding.PSS(mgf=padding.MGF1(chosen), salt_length=chosen.digest_size)
        public_key.verify(signature, message, pss, chosen)
    else:
        public_key.verify(signature, message, padding.PKCS1v15(), chosen)


class Boto3(unittest.TestCase):
    maxDiff = None

    def refused(self, error, call, **input):
        with self.assertRaises(error) as caught:
            call(**input)
        return caught.exception

    def refused_as(self, code, call, **input):
        """For the errors that no model has a class for."""
        self.assertEqual(self.refused(ClientError, call, **input).response["Error"]["Code"], code)

    def connection_state(self, store_id):
        described = kms.describe_custom_key_stores(CustomKeyStoreId=store_id)
        return described["CustomKeyStores"][0]["ConnectionState"]

    def test_key_store_is_created_connected_used_and_disconnected(self):
        store_id, cluster_id = new_key_store("life")
        self.assertEqual(self.connection_state(store_id), "DISCONNECTED")
        self.refused(errors.CustomKeyStoreInvalidStateException, key_in, store_id=store_id)
        kms.connect_custom_key_store(CustomKeyStoreId=store_id)
        self.assertEqual(self.connection_state(store_id), "CONNECTING")
        pass_time()
        self.assertEqual(self.connection_state(store_id), "CONNECTED")
        key = key_in(store_id, Description="seals")
        described = kms.describe_key(KeyId=key)["KeyMetadata"]
        self.assertEqual(
            {name: described[name] for name in ("Origin", "CustomKeyStoreId", "CloudHsmClusterId", "KeyState")},
            {
                "Origin": "AWS_CLOUDHSM",
                "CustomKeyStoreId": store_id,
                "CloudHsmClusterId": cluster_id,
                "KeyState": "Enabled",
            },
        )
        kms.disconnect_custom_key_store(CustomKeyStoreId=store_id)
        self.assertEqual(self.connection_state(store_id), "DISCONNECTING")
        pass_time()
        self.assertEqual(self.connection_state(store_id), "DISCONNECTED")
        self.assertEqual(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "Unavailable")
        self.refused(errors.KMSInvalidStateException, kms.encrypt, KeyId=key, Plaintext=b"x")

    def test_key_store_in_a_wrong_state_or_of_a_wrong_cluster_is_refused(self):
        store_id, cluster_id = new_key_store("refused")
        in_state = errors.CustomKeyStoreInvalidStateException
        self.refused(in_state, kms.disconnect_custom_key_store, CustomKeyStoreId=store_id)
        admin(
            "custom-key-store",
            customKeyStoreId=store_id,
            connectionState="FAILED",
            connectionErrorCode="INVALID_CREDENTIALS",
        )
        shown = kms.describe_custom_key_stores(CustomKeyStoreName="refused")["CustomKeyStores"][0]
        self.assertEqual(shown["ConnectionErrorCode"], "INVALID_CREDENTIALS")
        self.refused(in_state, kms.connect_custom_key_store, CustomKeyStoreId=store_id)
        kms.disconnect_custom_key_store(CustomKeyStoreId=store_id)
        pass_time()
        kms.connect_custom_key_store(CustomKeyStoreId=store_id)

        admin("cluster", clusterId=cluster_id, state="DEGRADED")
        kms.disconnect_custom_key_store(CustomKeyStoreId=store_id)
        pass_time()
        not_active = errors.CloudHsmClusterNotActiveException
        self.refused(not_active, kms.connect_custom_key_store, CustomKeyStoreId=store_id)

        other_id, trust_anchor = new_cluster()
        input = {
            "CustomKeyStoreName": "another",
            "CloudHsmClusterId": other_id,
            "TrustAnchorCertificate": trust_anchor,
            "KeyStorePassword": "kmsuser-password",
        }
        wrong = [
            (errors.CustomKeyStoreNameInUseException, {"CustomKeyStoreName": "refused"}),
            (errors.CloudHsmClusterNotFoundException, {"CloudHsmClusterId": "cluster-aaaaaaaaaaa"}),
            (errors.CloudHsmClusterInUseException, {"CloudHsmClusterId": cluster_id}),
            (errors.IncorrectTrustAnchorException, {"TrustAnchorCertificate": shown["TrustAnchorCertificate"]}),
        ]
        for error, change in wrong:
            self.refused(error, kms.create_custom_key_store, **{**input, **change})
        admin("cluster", clusterId=other_id, state="DEGRADED")
        self.refused(not_active, kms.create_custom_key_store, **input)
        admin("cluster", clusterId=other_id, state="ACTIVE")
        admin("hsms", clusterId=other_id, hsms=[{"availabilityZone": f"{boto3.session.Session().region_name}a"}])
        self.refused(errors.CloudHsmClusterInvalidConfigurationException, kms.create_custom_key_store, **input)
        unknown = errors.CustomKeyStoreNotFoundException
        for call in (
            kms.connect_custom_key_store,
            kms.disconnect_custom_key_store,
            kms.describe_custom_key_stores,
            key_in_unknown_store,
        ):
            self.refused(unknown, call, CustomKeyStoreId="cks-00000000000000000")

    def test_encrypts_and_decrypts_with_an_encryption_context(self):
        store_id, _ = connected_key_store("sealing")
        context = {"purpose": "signer PIN", "issuer": "fleet \u00fc"}
        for key in (key_in(store_id), kms.create_key()["KeyMetadata"]["Arn"]):
            sealed = kms.encrypt(KeyId=key, Plaintext=b"a PIN", EncryptionContext=context)
            self.assertEqual(sealed["KeyId"], key)
            blob = sealed["CiphertextBlob"]
            opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=dict(reversed(context.items())))
            self.assertEqual((opened["Plaintext"], opened["KeyId"]), (b"a PIN", key))
            invalid = errors.InvalidCiphertextException
            self.refused(invalid, kms.decrypt, CiphertextBlob=blob)
            self.refused(invalid, kms.decrypt, CiphertextBlob=blob, EncryptionContext={**context, "issuer": "x"})
            self.refused(invalid, kms.decrypt, CiphertextBlob=blob[:-1], EncryptionContext=context)
            other = kms.create_key()["KeyMetadata"]["KeyId"]
            wrong_key = {"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": other}
            self.refused(errors.IncorrectKeyException, kms.decrypt, **wrong_key)
            dry = {"CiphertextBlob": blob, "EncryptionContext": context, "DryRun": True}
            self.refused(errors.DryRunOperationException, kms.decrypt, **dry)

    def test_signs_with_every_key_and_algorithm_as_cryptography_verifies(self):
        store_id, _ = connected_key_store("signing")
        specs = ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "RSA_2048", "RSA_3072", "RSA_4096"]
        for place in ({}, {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store_id}):
            for spec in specs:
                key = signing_key(spec, **place)
                given = kms.get_public_key(KeyId=key)
                self.assertEqual(given["SigningAlgorithms"], kms.describe_key(KeyId=key)["KeyMetadata"]["SigningAlgorithms"])
                public_key = serialization.load_der_public_key(given["PublicKey"])
                if spec.startswith("RSA"):
                    self.assertIsInstance(public_key, rsa.RSAPublicKey)
                    self.assertEqual(public_key.key_size, int(spec[-4:]))
                else:
                    self.assertEqual(public_key.curve.name, f"secp{spec[-3:]}r1")
                for algorithm in given["SigningAlgorithms"]:
                    self.sign_and_verify(key, public_key, algorithm)

    def sign_and_verify(self, key, public_key, algorithm):
        digest = hashlib.new(f"sha{algorithm[-3:]}", MESSAGE).digest()
        for message, kind in ((MESSAGE, "RAW"), (digest, "DIGEST")):
            common = {"KeyId": key, "Message": message, "MessageType": kind, "SigningAlgorithm": algorithm}
            signed = kms.sign(**common)
            self.assertEqual((signed["KeyId"], signed["SigningAlgorithm"]), (key, algorithm))
            signature = signed["Signature"]
            verify(public_key, algorithm, signature)
            with self.assertRaises(InvalidSignature):
                verify(public_key, algorithm, signature, b"something else")
            self.assertIs(kms.verify(**common, Signature=signature)["SignatureValid"], True)
            if algorithm.startswith("ECDSA"):
                self.assertEqual(utils.encode_dss_signature(*utils.decode_dss_signature(signature)), signature)

    def test_refuses_what_a_key_cannot_sign(self):
        key = signing_key("ECC_NIST_P256")
        symmetric = kms.create_key()["KeyMetadata"]["Arn"]
        call = {"KeyId": key, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
        signature = kms.sign(**call)["Signature"]
        usage = errors.InvalidKeyUsageException
        self.refused(usage, kms.sign, **{**call, "SigningAlgorithm": "ECDSA_SHA_384"})
        self.refused(usage, kms.sign, **{**call, "KeyId": symmetric})
        self.refused(usage, kms.verify, **{**call, "KeyId": symmetric}, Signature=signature)
        self.refused(usage, kms.encrypt, KeyId=key, Plaintext=b"x")
        self.refused(usage, kms.encrypt, KeyId=symmetric, Plaintext=b"x", EncryptionAlgorithm="RSAES_OAEP_SHA_256")
        self.refused(errors.UnsupportedOperationException, kms.get_public_key, KeyId=symmetric)
        self.refused(errors.DryRunOperationException, kms.sign, **call, DryRun=True)
        self.refused(errors.KMSInvalidSignatureException, kms.verify, **{**call, "Message": b"x"}, Signature=signature)
        self.refused_as("ValidationException", kms.sign, **call, MessageType="DIGEST")
        # Two of what botocore does not look at, and one that it does.
        self.refused_as("ValidationException", kms.sign, **{**call, "SigningAlgorithm": "MD5"})
        self.refused_as("ValidationException", kms.sign, **{**call, "Message": bytes(4097)})
        self.refused_as("ValidationException", careless.sign, **{**call, "Message": b""})

    def test_refuses_keys_that_are_unknown_elsewhere_disabled_or_going(self):
        key = signing_key("ECC_NIST_P256")
        call = {"Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
        region = boto3.session.Session().region_name
        uses = [
            lambda KeyId: kms.sign(KeyId=KeyId, **call),
            lambda KeyId: kms.verify(KeyId=KeyId, Signature=b"x", **call),
            lambda KeyId: kms.get_public_key(KeyId=KeyId),
            lambda KeyId: kms.encrypt(KeyId=KeyId, Plaintext=b"x"),
        ]
        manages = [
            lambda KeyId: kms.describe_key(KeyId=KeyId),
            lambda KeyId: kms.enable_key(KeyId=KeyId),
            lambda KeyId: kms.disable_key(KeyId=KeyId),
            lambda KeyId: kms.schedule_key_deletion(KeyId=KeyId),
            lambda KeyId: kms.cancel_key_deletion(KeyId=KeyId),
            lambda KeyId: kms.create_alias(AliasName="alias/new", TargetKeyId=KeyId),
            lambda KeyId: kms.list_aliases(KeyId=KeyId),
        ]
        for use in uses + manages:
            self.refused(errors.NotFoundException, use, KeyId=UNKNOWN_KEY)
            self.refused(errors.NotFoundException, use, KeyId=f"arn:aws:kms:{region}:000000000000:key/{UNKNOWN_KEY}")
            self.refused_as("AccessDeniedException", use, KeyId=f"arn:aws:kms:{region}:999999999999:key/{UNKNOWN_KEY}")
        for use in uses:
            self.refused(errors.NotFoundException, use, KeyId="alias/none")
        kms.disable_key(KeyId=key)
        for use in uses:
            self.refused(errors.DisabledException, use, KeyId=key)
        kms.enable_key(KeyId=key)
        kms.sign(KeyId=key, **call)
        going = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        self.assertEqual((going["KeyId"], going["KeyState"]), (key, "PendingDeletion"))
        self.assertEqual(kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"], going["DeletionDate"])
        for use in uses + [manages[1], manages[2], manages[3], manages[5]]:
            self.refused(errors.KMSInvalidStateException, use, KeyId=key)
        self.assertEqual(kms.cancel_key_deletion(KeyId=key)["KeyId"], key)
        self.refused(errors.KMSInvalidStateException, manages[4], KeyId=key)
        self.assertEqual(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"], "Disabled")

    def test_refuses_keys_that_it_cannot_make(self):
        store_id, _ = connected_key_store("no keys")
        in_store = {"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store_id}
        unsupported = errors.UnsupportedOperationException
        self.refused(unsupported, kms.create_key, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC", **in_store)
        self.refused(unsupported, kms.create_key, MultiRegion=True, **in_store)
        for input in (
            {"KeySpec": "RSA_2048"},
            {"KeyUsage": "SIGN_VERIFY"},
            {"KeySpec": "ECC_NIST_P256", "KeyUsage": "ENCRYPT_DECRYPT"},
            {"KeySpec": "DES"},
            {"Description": "x" * 8193},
            {"Origin": "AWS_KMS", "CustomKeyStoreId": store_id},
        ):
            self.refused_as("ValidationException", kms.create_key, **input)
        admin("hsms", clusterId=self.cluster_of(store_id), hsms=[])
        self.refused(errors.CloudHsmClusterInvalidConfigurationException, kms.create_key, **in_store)

    def cluster_of(self, store_id):
        described = kms.describe_custom_key_stores(CustomKeyStoreId=store_id)
        return described["CustomKeyStores"][0]["CloudHsmClusterId"]

    def test_lists_keys_aliases_and_key_stores_page_by_page(self):
        key = kms.create_key()["KeyMetadata"]
        names = [f"alias/paged-{number}" for number in range(5)]
        for name in names:
            kms.create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        self.refused(errors.AlreadyExistsException, kms.create_alias, AliasName=names[0], TargetKeyId=key["KeyId"])
        reserved = {"AliasName": "alias/aws/mine", "TargetKeyId": key["KeyId"]}
        self.refused(errors.InvalidAliasNameException, kms.create_alias, **reserved)
        pages = list(kms.get_paginator("list_aliases").paginate(KeyId=key["Arn"], PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(page["Aliases"]) for page in pages], [2, 2, 1])
        self.assertEqual([page["Truncated"] for page in pages], [True, True, False])
        self.assertEqual([alias["AliasName"] for page in pages for alias in page["Aliases"]], names)
        self.assertEqual({alias["TargetKeyId"] for page in pages for alias in page["Aliases"]}, {key["KeyId"]})
        self.assertEqual(kms.describe_key(KeyId=names[3])["KeyMetadata"]["Arn"], key["Arn"])

        for number in range(3):
            new_key_store(f"paged {number}")
        for operation, list_name, id_name in (
            ("list_keys", "Keys", "KeyArn"),
            ("describe_custom_key_stores", "CustomKeyStores", "CustomKeyStoreId"),
        ):
            whole = [item[id_name] for item in getattr(kms, operation)(Limit=1000)[list_name]]
            paged = kms.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2})
            self.assertEqual([item[id_name] for item in paged.search(f"{list_name}[]")], whole)
            self.assertEqual(len(set(whole)), len(whole))
            self.assertGreater(len(whole), 2)
            self.refused(errors.InvalidMarkerException, getattr(kms, operation), Marker="elsewhere")
            self.refused_as("ValidationException", careless_call(operation), Limit=0)

    def test_describes_clusters_and_backups_page_by_page(self):
        clusters = [new_cluster()[0] for _ in range(3)]
        paginator = cloudhsm.get_paginator("describe_clusters")
        found = paginator.paginate(Filters={"clusterIds": clusters}, PaginationConfig={"PageSize": 2})
        pages = [[cluster["ClusterId"] for cluster in page["Clusters"]] for page in found]
        self.assertEqual([len(page) for page in pages], [2, 1])
        self.assertEqual(sorted(sum(pages, [])), sorted(clusters))

        ages = [1, 2, 3, 4, 5]
        backups = [{"ageSeconds": age * 3600} for age in ages]
        # Every member that a backup can have.
        backups.append({
            "ageSeconds": 7 * 3600,
            "state": "PENDING_DELETION",
            "neverExpires": True,
            "copiedAgeSeconds": 60,
            "sourceRegion": "us-east-1",
            "sourceBackup": "backup-aaaaaaaaaaa",
            "sourceCluster": "cluster-aaaaaaaaaaa",
        })
        made = admin("backups", clusterId=clusters[0], backups=backups)["backupIds"]
        of_cluster = {"Filters": {"clusterIds": [clusters[0]]}}
        paged = cloudhsm.get_paginator("describe_backups").paginate(**of_cluster, PaginationConfig={"PageSize": 4})
        pages = [[backup["BackupId"] for backup in page["Backups"]] for page in paged]
        self.assertEqual([len(page) for page in pages], [4, 2])
        self.assertEqual(sum(pages, []), made)
        ascending = cloudhsm.describe_backups(**of_cluster, SortAscending=True)["Backups"]
        self.assertEqual([backup["BackupId"] for backup in ascending], list(reversed(made)))
        self.assertEqual((ascending[0]["SourceRegion"], ascending[0]["NeverExpires"]), ("us-east-1", True))
        admin("cluster", clusterId=clusters[0], state="DEGRADED", stateMessage="one HSM is gone")
        shown = cloudhsm.describe_clusters(Filters={"clusterIds": [clusters[0]]})["Clusters"][0]
        self.assertEqual((shown["State"], shown["StateMessage"]), ("DEGRADED", "one HSM is gone"))

        invalid = cloudhsm.exceptions.CloudHsmInvalidRequestException
        for call in (cloudhsm.describe_clusters, cloudhsm.describe_backups):
            self.refused(invalid, call, Filters={"colour": ["red"]})
            self.refused(invalid, call, NextToken="elsewhere")
        self.refused(invalid, careless_cloudhsm.describe_clusters, MaxResults=26)
        self.refused(invalid, careless_cloudhsm.describe_backups, MaxResults=51)

    def test_faults_of_the_service_are_boto3s_own_classes(self):
        key = signing_key("ECC_NIST_P256")
        call = {"KeyId": key, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
        for code in ("KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException"):
            admin("faults", faults=[{"operation": "TrentService.Sign", "code": code}])
            self.refused(getattr(errors, code), kms.sign, **call)
        admin("faults", faults=[{"operation": "TrentService.Sign", "code": "ThrottlingException"}])
        self.refused_as("ThrottlingException", kms.sign, **call)
        admin("faults", faults=[{"operation": "BaldrApiService.DescribeClusters", "code": "CloudHsmServiceException"}])
        self.refused(cloudhsm.exceptions.CloudHsmServiceException, cloudhsm.describe_clusters)
        admin("faults", faults=[{"operation": "BaldrApiService.DescribeBackups", "code": "CloudHsmInternalFailureException"}])
        self.refused(cloudhsm.exceptions.CloudHsmInternalFailureException, cloudhsm.describe_backups)


    def test_events_are_looked_up_page_by_page(self):
        key = signing_key("ECC_NIST_P256")
        for _ in range(3):
            kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
        of_key = [{"AttributeKey": "ResourceName", "AttributeValue": key}]
        pages = list(
            cloudtrail.get_paginator("lookup_events").paginate(
                LookupAttributes=of_key, PaginationConfig={"PageSize": 2}
            )
        )
        self.assertEqual([len(page["Events"]) for page in pages], [2, 2])
        events = [event for page in pages for event in page["Events"]]
        self.assertEqual([event["EventName"] for event in events], ["Sign", "Sign", "Sign", "CreateKey"])
        record = json.loads(events[0]["CloudTrailEvent"])
        self.assertEqual(record["requestParameters"], {"keyId": key, "signingAlgorithm": "ECDSA_SHA_256"})
        self.assertEqual(record["userIdentity"]["arn"], "arn:aws:iam::000000000000:user/any")
        self.assertEqual(record["resources"][0]["ARN"], key)
        self.assertEqual(cloudtrail.lookup_events(EventCategory="insight")["Events"], [])
        token = cloudtrail.lookup_events(MaxResults=1)["NextToken"]
        errors = cloudtrail.exceptions
        for error, input in (
            (errors.InvalidNextTokenException, {"MaxResults": 2, "NextToken": token}),
            (errors.InvalidMaxResultsException, {"MaxResults": 51}),
            (errors.InvalidLookupAttributesException, {"LookupAttributes": of_key * 2}),
            (errors.InvalidTimeRangeException, {"StartTime": 2, "EndTime": 1}),
            (errors.InvalidEventCategoryException, {"EventCategory": "other"}),
        ):
            self.refused(error, careless_cloudtrail.lookup_events, **input)

    def test_the_check_against_the_model_sees_what_is_wrong(self):
        model = kms.meta.service_model.operation_model("DescribeKey")
        key = {"KeyId": UNKNOWN_KEY, "Enabled": True, "CreationDate": 1.5, "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"]}
        self.assertEqual(against_operation(model, 200, {"KeyMetadata": key}), [])
        for change in (
            {"Colour": "red"},
            {"Enabled": "true"},
            {"Enabled": 1},
            {"KeyId": ""},
            {"KeyId": None},
            {"KeyId": 5},
            {"KeySpec": "DES"},
            {"CreationDate": "2026-11-22"},
            {"CreationDate": True},
            {"AWSAccountId": 1},
            {"CustomKeyStoreId": "x" * 65},
            {"EncryptionAlgorithms": "SYMMETRIC_DEFAULT"},
            {"EncryptionAlgorithms": ["ROT13"]},
            {"MultiRegionConfiguration": {"ReplicaKeys": [{"Place": "moon"}]}},
        ):
            self.assertEqual(len(against_operation(model, 200, {"KeyMetadata": {**key, **change}})), 1, change)
        for wrong in ({"KeyMetadata": {}}, {"KeyMetadata": []}, {"Key": key}, [], "x"):
            self.assertNotEqual(against_operation(model, 200, wrong), [], wrong)
        encrypt = kms.meta.service_model.operation_model("Encrypt")
        for blob, problems in (("AAAA", 0), ("***", 1), ("", 1), (5, 1)):
            self.assertEqual(len(against_operation(encrypt, 200, {"CiphertextBlob": blob})), problems, blob)
        alias = kms.meta.service_model.operation_model("CreateAlias")
        self.assertEqual(against_operation(alias, 200, None), [])
        self.assertNotEqual(against_operation(alias, 200, {}), [])
        for status, body, problems in (
            (400, {"__type": "NotFoundException", "message": "none"}, 0),
            (400, {"__type": "NotFoundException"}, 0),
            (400, {"__type": "ValidationException", "message": "none"}, 0),
            (500, {"__type": "KMSInternalException"}, 0),
            (500, {"__type": "NotFoundException"}, 1),
            (400, {"__type": "KMSInternalException"}, 1),
            (400, {"__type": "DisabledException"}, 1),
            (400, {"__type": "NotFoundException", "Message": "none"}, 1),
            (400, {}, 1),
        ):
            self.assertEqual(len(against_operation(model, status, body)), problems, body)


def key_in_unknown_store(CustomKeyStoreId):
    return key_in(CustomKeyStoreId)


def careless_call(operation):
    return getattr(careless, operation)


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.tests = {}

    def startTest(self, test):
        super().startTest(test)
        self.tests[test._testMethodName] = None

    def addError(self, test, err):
        super().addError(test, err)
        self.tests[test._testMethodName] = self.errors[-1][1]

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tests[test._testMethodName] = self.failures[-1][1]


outcomes = Outcomes()
unittest.defaultTestLoader.loadTestsFromTestCase(Boto3).run(outcomes)
report = {
    "tests": outcomes.tests,
    "operations": sorted(succeeded),
    "errors": {operation: sorted(codes) for operation, codes in sorted(failed.items())},
}
json.dump(report, sys.stdout)
