import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_price_table.py"

HEAD = (
    "cloud,region,instance_type,vcpus,memory_gib,gpu,gpu_count,gpu_mem_gib_each,compute_cap,"
    "on_demand_usd_h,spot_usd_h,as_of,source,note"
)
CATALOGUE = f"""{HEAD}
gcp,z,n1,4,15.0,T4,1,16,7.5,0.54,0.177,2026-08-03 (VM) / undated GPU adder,a+b c,N1 + attached accelerator
aws,r,p3,8,61.0,V100,1,16,7.0,3.060000,,2026-07-20,a,
azure,e,NC4,4,28.0,T4,1,16,7.5,0.526000,0.1490001,2026-06-18;spot 2026-09-06,a+b,
gcp,z,v6e (per chip),,,TPU-v6e,1,32,,2.7,1.89,"hand-filled, gpuhunt 2026-08-19",t,price per chip
aws,r,p5e,,,H200,8,141,9.0,,,,a,no public price
aws,r,free,8,61.0,V100,1,16,7.0,0.000000,0,2026-07-20,a,a zero means unknown
"""
TABLE = """\
provider,region,instance_type,vcpus,memory_gib,gpu,gpu_count,gpu_memory_gib,compute_capability,\
on_demand_usd_per_hour,spot_usd_per_hour,priced_on,source
aws,r,p3,8,61.0,V100,1,16,7.0,3.06,,2026-07-20,a
azure,e,NC4,4,28.0,T4,1,16,7.5,0.526,0.149,2026-06-18,a+b
gcp,z,n1,4,15.0,T4,1,16,7.5,0.54,0.177,2026-08-03,a+b c
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location("make_price_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "TABLE", tmp_path / "table.csv")
    return module


def test_a_catalogue_becomes_a_table(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "catalogue.csv").write_text(CATALOGUE)
    monkeypatch.setattr(sys, "argv", ["make_price_table.py", str(tmp_path / "catalogue.csv")])
    assert script.main() == 0
    assert (tmp_path / "table.csv").read_text() == TABLE
    assert capsys.readouterr().out == "table.csv: 3 rows kept, 3 left out\n"


def test_a_priced_row_without_a_date_is_refused(script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "catalogue.csv").write_text(CATALOGUE.replace("2026-07-20,a,\n", "undated,a,\n"))
    monkeypatch.setattr(sys, "argv", ["make_price_table.py", str(tmp_path / "catalogue.csv")])
    with pytest.raises(ValueError, match="undated"):
        script.main()
    assert not (tmp_path / "table.csv").exists()


def test_without_a_catalogue_it_says_how_it_is_used(
    script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["make_price_table.py"])
    assert script.main() == 2
    assert "CATALOGUE.csv" in capsys.readouterr().err
