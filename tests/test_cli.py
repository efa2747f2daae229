"""Mistakes of a command or of the configuration are sentences, through the real ``kedro run``, before it begins."""

import errno
import logging
import os
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from kedro.io import DatasetError

from aitm_kedro import cli
from aitm_kedro.core.errors import InputError
from tests.conftest import run_kedro

CATALOG = """\
raw_impressions:
  type: aitm_kedro.datasets.Table
  filepath: data/01_raw/shop.parquet
  connection: ${globals:connection}
"""

PARAMETERS = """\
funnel: {steps: [view, cart], main_steps: [cart]}
features: {categorical: [user]}
"""

SOURCE = "conf/shop/catalog.yml, line 1: the entry 'raw_impressions'"


@pytest.fixture
def shop(project):
    """A project with an environment of its own; what it reads is not there."""
    (project / "conf/shop").mkdir()
    (project / "conf/shop/catalog.yml").write_text(CATALOG)
    (project / "conf/shop/parameters.yml").write_text(PARAMETERS)
    return project


def sentence(project, *arguments, code=1):
    """What ``kedro run`` says of a mistake, which is no traceback and leaves nothing behind."""
    exit_code, output = run_kedro(project, *arguments)
    assert exit_code == code, output
    assert "Traceback" not in output
    assert not (project / "data").exists()
    message = output[output.rindex("Error: ") :]
    assert "pydantic" not in message
    return message.removeprefix("Error: ").removesuffix("(AITM_TRACEBACK=1 shows where in the code.)\n").strip()


class TestNames:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--pipelines=fulll"], "There is no pipeline 'fulll'; did you mean 'full'?"),
            (["--nodes=aitm.seed0.trian"], "which is no node; did you mean 'aitm.seed0.train'?"),
            (["--nodes=ple.seed3.train"], "which is no node; the pipeline 'benchmark' has it: --pipelines=benchmark."),
            (["--to-nodes=zzz"], "--to-nodes names 'zzz', which is no node; there are "),
            (["--namespaces=atm.seed0"], "which is no namespace; did you mean 'aitm.seed0'?"),
            (
                ["--pipelines=scoring", "--load-versions=aitm.seed0.bundle:2026-01-01T00.00.00.000Z"],
                "of which there is no version yet; run what makes it first.",
            ),
            (
                ["--nodes=aitm.seed0.train", "--namespaces=ple"],
                "No node is chosen by --nodes and --namespaces together",
            ),
        ],
    )
    def test_an_unknown_name_is_answered_by_the_nearest(self, project, arguments, expected):
        said = sentence(project, "--env=test", *arguments)
        assert expected in said
        assert said.count(",") < 12

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--runner=Sequential"], "there is no runner 'Sequential'; did you mean 'SequentialRunner'?"),
            (["--runner=kedro.io.MemoryDataset"], "there is no runner 'kedro.io.MemoryDataset'; "),
            (["--runner-params=foo=1"], "SequentialRunner does not take 'foo'; it takes is_async."),
            (["--load-versions=weights"], "'weights' is not dataset:version, as in aitm.seed0.weights:2026-"),
            (["--load-versions=a:../b"], "Version string '../b' is not allowed."),
            (["--runner=ThreadRunner", "--runner-params=max_workers=many"], "ThreadRunner refuses them: "),
            (["--nodes="], "'--nodes' / '-n': it has no value; give it one, or leave it out"),
            (["--params="], "'--params': it has no value; give it one, or leave it out"),
            (["--pipeline=full", "--pipelines=full"], "mean the same; give one of them."),
        ],
    )
    def test_an_option_that_cannot_be_read_is_a_usage_error(self, project, arguments, expected):
        assert expected in sentence(project, "--env=test", *arguments, code=2)

    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            ("tst", "There is no environment 'tst', since there is no folder conf/tst; did you mean 'test'?"),
            ("zzz", "there are ali_ccp, base, industrial, industrial_20m, paper and test."),
            ("../conf", "There is no environment '../conf'"),
        ],
    )
    def test_an_unknown_environment_is_answered_by_those_that_exist(self, project, environment, expected):
        assert expected in sentence(project, f"--env={environment}")

    def test_the_folder_of_the_default_environment_may_be_made(self, project):
        (project / "conf/local").rmdir()
        assert sentence(project) == "There is no folder conf/local; create it (it may be empty)."


class TestFiles:
    @pytest.mark.parametrize(
        ("file", "text", "expected"),
        [
            ("shop/parameters.yml", "a:\n\tb: 1\n", "line 2: this is no YAML (found character that cannot"),
            ("shop/parameters_more.yml", "features: {numeric: [age]}\nfunnel: {steps: [a]}\n", "line 2: the key"),
            ("shop/parameters_more.yml", "seeds: {full: '${x}'}\n", "line 1: seeds.full cannot be resolved: "),
            ("shop/catalog.yml", f"{CATALOG}{CATALOG}", "line 5: the key 'raw_impressions' stands in line 1"),
            ("shop/catalog_more.yml", CATALOG, "line 1: the key 'raw_impressions' stands in conf/shop/catalog.yml"),
            ("shop/globals.yml", "folder: [\n", "line 2: this is no YAML"),
            ("shop/globals.yml", "folder: ${x}\n", "line 1: folder cannot be resolved: Interpolation key 'x'"),
            ("shop/credentials.yml", "dev: [\n", "line 2: this is no YAML"),
            ("logging.yml", "version: 1\nversion: 1\n", "line 2: the key 'version' stands in line 1 already"),
        ],
    )
    def test_what_cannot_be_read_is_said_with_file_and_line(self, shop, file, text, expected):
        (shop / "conf" / file).write_text(text)
        assert sentence(shop, "--env=shop").startswith(f"conf/{file}, {expected}")

    @pytest.mark.parametrize("command", [("registry", "list"), ("registry", "describe"), ("catalog", "list-patterns")])
    def test_other_commands_that_read_the_configuration_say_so_too(self, project, command):
        (project / "conf/local/parameters.yml").write_text("bad: [\n")
        code, output = run_kedro(project, command=command)
        assert code == 1
        assert "Error: conf/local/parameters.yml, line 2: this is no YAML" in output
        assert "Traceback" not in output

    def test_a_module_says_so_before_kedro_is_imported(self, shop, monkeypatch):
        from aitm_kedro.__main__ import main

        (shop / "conf/logging.yml").write_text("version: [1\n")
        monkeypatch.chdir(shop)
        with pytest.raises(SystemExit, match=r"Error: conf/logging\.yml, line 2: this is no YAML"):
            main()

    def test_a_module_says_so_of_a_file_for_logging_that_is_not_there(self, shop, monkeypatch):
        from aitm_kedro.__main__ import main

        monkeypatch.chdir(shop)
        monkeypatch.setenv("KEDRO_LOGGING_CONFIG", "conf/log.yml")
        with pytest.raises(SystemExit, match=r"names the file 'conf/log\.yml', which is not there; correct it"):
            main()

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ("words", f"{SOURCE} must be a mapping with a 'type' and what it needs."),
            ("{type: Table}", "'Table', which cannot be found; did you mean 'aitm_kedro.datasets.Table'?"),
            (
                "{type: aitm_kedro.datasets.Table, filepath: x, credentials: dev}",
                "names the credentials 'dev', which no credentials.yml has; written there are none.",
            ),
            ("{type: ibis.FileDataset, filepath: '${globals:foldr}'}", "no key 'foldr'; did you mean 'folder'?"),
            ("{type: ibis.FileDataset, filepath: '${parameters:x}'}", "the parameter 'x', which does not exist."),
            ("{type: ibis.FileDataset, filepath: '${x'}", "raw_impressions.filepath cannot be resolved: no viable"),
        ],
    )
    def test_an_entry_of_the_catalog_that_cannot_be(self, shop, entry, expected):
        (shop / "conf/shop/catalog.yml").write_text(f"raw_impressions: {entry}\n")
        said = sentence(shop, "--env=shop")
        assert said.startswith("conf/shop/catalog.yml, line 1: ")
        assert expected in said

    @pytest.mark.parametrize(
        ("parameters", "missing"),
        [("", "'funnel' and 'features'"), (PARAMETERS.splitlines()[0], "'features'")],
    )
    def test_a_table_of_ones_own_that_only_base_describes(self, shop, parameters, missing):
        (shop / "conf/shop/parameters.yml").write_text(parameters)
        said = sentence(shop, "--env=shop")
        assert said.startswith("conf/shop/catalog.yml, line 1: the environment 'shop' has a table of its own, but no ")
        assert f"but no {missing}; what conf/base says there names the columns of the simulated log." in said
        assert "\n" not in said


class TestParameters:
    def test_all_mistakes_are_named_with_the_file_in_which_they_stand(self, shop):
        (shop / "conf/shop/parameters.yml").write_text(
            f"{PARAMETERS}training:\n  batch_size: many\n  epochs: 3\nruns: {{aitm: {{alpha: 0}}}}\n"
        )
        base = shop / "conf/base/parameters/evaluation.yml"
        base.write_text(base.read_text().replace("confidence: 0.95", "confidence: 95"))
        line = next(at for at, text in enumerate(base.read_text().splitlines(), start=1) if "confidence" in text)
        said = sentence(shop, "--env=shop", "--params=sampling.positive_share=2").splitlines()
        assert said[0] == "The parameters are wrong in 5 places."
        assert set(said[1:]) == {
            "conf/shop/parameters.yml, line 4: training.batch_size must be a whole number, above 0 or auto; it is "
            "'many'.",
            "conf/shop/parameters.yml, line 5: training.epochs is unknown; did you mean 'max_epochs'?",
            "conf/shop/parameters.yml, line 6: runs.aitm.alpha is unknown; put it under options: "
            "runs.aitm.options.alpha.",
            f"conf/base/parameters/evaluation.yml, line {line}: evaluation.confidence must be a number, above 0 and "
            "below 1; it is 95.",
            "--params: sampling.positive_share must be a number, above 0 and below 1, or null; it is 2.",
        }

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("runs: {aitn: {}}", "conf/shop/parameters.yml, line 3: The run 'aitn' is wrong: 'aitn' is no"),
            ("scoring: {run: atm}", "conf/shop/parameters.yml, line 3: The parameter scoring.run names the run 'atm'"),
            # What base names is not among the runs of an environment that has its own.
            ("runs: {aitm: {}}", "conf/base/parameters/runs.yml, line "),
        ],
    )
    def test_a_run_that_is_not_there_is_said_with_its_file(self, shop, text, expected):
        (shop / "conf/shop/parameters.yml").write_text(f"{PARAMETERS}{text}\n")
        assert sentence(shop, "--env=shop").startswith(expected)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("foo=1", "--params: foo is unknown; known are ali_ccp, "),
            ("training.epochs=1", "--params: training.epochs is unknown; did you mean 'max_epochs'?"),
            ("training.max_epochs=1.5", "--params: training.max_epochs must be a whole number, at least 1; it is 1.5."),
            ("seeds.full.0=5", "--params: seeds.full must be a list; it is {"),
            ("training.max_epochs=${x}", "--params: training.max_epochs cannot be resolved: Interpolation key 'x'"),
        ],
    )
    def test_a_wrong_value_of_params(self, project, given, expected):
        assert sentence(project, "--env=test", f"--params={given}").startswith(expected)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("foo", "'foo' is not key=value, as in --params=training.max_epochs=3"),
            ("=3", "'=3' is not key=value"),
            ("training.max_epochs=", "has no value; write training.max_epochs=null for none"),
            ("seeds.full=[0,1]", "cannot hold the list [0,1]; write the list into conf/"),
            ("aitm.tower={kind: nfm, layers: 3}", "cannot hold the mapping {kind: nfm, layers: 3}"),
            ("explain=aitm,explain=ple", "the key 'explain' is given twice; give it once"),
            ("runs.aitm=1,runs.aitm.model=ple", "of which one is inside the other; give one of them"),
            ("explain={", "the value of 'explain={' cannot be read"),
            ("training..max_epochs=3", "has a dot without a name beside it"),
        ],
    )
    def test_params_that_cannot_be_read(self, project, given, expected):
        assert expected in " ".join(sentence(project, "--env=test", f"--params={given}", code=2).split())

    def test_a_file_of_options_that_has_none(self, project):
        (project / "run.yml").write_text("jog: {env: test}\n")
        assert "no file with options under the key 'run'" in sentence(project, "--config=run.yml", code=2)


class TestTracebacks:
    """What a person can mend is a sentence, what a programmer must mend keeps its traceback."""

    @pytest.fixture
    def fail(self, monkeypatch):
        """Run the command as if the run had raised an error."""

        def run(error):
            def raises(**options):
                raise error

            monkeypatch.setattr(cli.run, "callback", raises)
            return CliRunner().invoke(cli.run, [])

        return run

    @pytest.mark.parametrize(
        ("number", "reason"),
        [
            (errno.EACCES, "'/srv/data' cannot be opened or written: there is no permission."),
            (errno.EROFS, "it is on a medium that is mounted read-only."),
            (errno.ENOSPC, "the disk is full."),
        ],
    )
    def test_a_folder_that_cannot_be_written(self, fail, number, reason):
        error = OSError(number, os.strerror(number), "/srv/data")
        wrapped = DatasetError("Failed while saving data to dataset Table(filepath=x)")
        wrapped.__cause__ = error
        for each in (error, wrapped):
            result = fail(each)
            assert result.exit_code == 1
            assert reason in result.output
            assert "Table(" not in result.output

    @pytest.mark.parametrize("error", [KeyError("x"), AttributeError("x"), FileNotFoundError(errno.ENOENT, "x", "y")])
    def test_a_bug_keeps_its_traceback(self, fail, error):
        result = fail(error)
        assert result.exception is error
        assert "Error:" not in result.output

    def test_a_sentence_inside_an_error_of_kedro_is_what_is_said(self, fail):
        error = DatasetError("Failed while loading data from dataset Table(filepath=x)")
        error.__cause__ = InputError("'x' has no column.")
        assert fail(error).output.startswith("Error: 'x' has no column.\n")


def test_the_option_that_users_type_is_not_called_deprecated(project):
    """Kedro would warn before it makes a session."""
    for option in ("--pipeline", "--pipelines"):
        _, output = run_kedro(project, "--env=test", f"{option}=fulll")
        assert "There is no pipeline 'fulll'" in output
        assert "deprecated" not in output


def test_a_benchmark_goes_on_unless_nodes_are_chosen(monkeypatch):
    seen = []
    monkeypatch.setattr(cli.run, "callback", lambda **options: seen.append((options["pipelines"], options["runner"])))
    for arguments in (["--pipeline=benchmark"], ["--pipelines=benchmark", "--nodes=x"], ["--pipelines=full"]):
        assert CliRunner().invoke(cli.run, arguments).exit_code == 0
    assert seen == [(["benchmark"], cli.RESUMING), (["benchmark"], None), (["full"], None)]


def test_the_pipeline_that_is_typed_counts_more_than_that_of_a_file(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(cli.run, "callback", lambda **options: seen.append((options["pipeline"], options["pipelines"])))
    for inside, typed in (("pipeline", "pipelines"), ("pipelines", "pipeline"), ("pipeline", "pipeline")):
        (tmp_path / "run.yml").write_text(f"run: {{{inside}: full}}\n")
        result = CliRunner().invoke(cli.run, [f"--config={tmp_path / 'run.yml'}", f"--{typed}=scoring"])
        assert result.exit_code == 0, result.output
    assert seen == [(None, ["scoring"])] * 3


def test_a_file_may_hold_lists(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(cli.run, "callback", lambda **options: seen.append((options["pipelines"], options["tags"])))
    (tmp_path / "run.yml").write_text("run: {pipelines: [ingestion, preparation], tags: aitm}\n")
    result = CliRunner().invoke(cli.run, [f"--config={tmp_path / 'run.yml'}"])
    assert result.exit_code == 0, result.output
    assert [[list(each) for each in options] for options in seen] == [[["ingestion", "preparation"], ["aitm"]]]


def test_the_help_of_every_option_is_kedros(project):
    code, output = run_kedro(project, "--help")
    assert code == 0
    assert "--load-versions" in output
    assert isinstance(cli.run, click.Command)


def test_running_inside_the_process_leaves_nothing_behind(shop):
    from aitm_kedro import config_loader

    root = logging.getLogger()
    before = (Path.cwd(), sys.path[:], dict(os.environ), root.handlers[:], root.level, config_loader._loaded[:])
    run_kedro(shop, "--env=shop", "--pipelines=fulll")
    after = (Path.cwd(), sys.path[:], dict(os.environ), root.handlers[:], root.level, config_loader._loaded[:])
    assert after == before


def test_an_unexpected_error_shows_its_traceback_in_the_output(project, monkeypatch):
    monkeypatch.setattr(config_loader_class(), "_check_catalog", lambda *_: 1 / 0)
    code, output = run_kedro(project, "--env=test")
    assert code == 1
    assert "ZeroDivisionError" in output
    assert "Traceback" in output


def config_loader_class():
    from aitm_kedro.config_loader import EnvironmentConfigLoader

    return EnvironmentConfigLoader
