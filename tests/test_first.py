def test_upload(api, picture):
    got = api.get("/api/v1/assets").json()
    assert got["results"][0]["id"] == str(picture.pk)
