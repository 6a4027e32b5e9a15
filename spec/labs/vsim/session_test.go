package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// soapCall posts a raw envelope: what a client in another language sees.
func (v *vsim) soapCall(cookie, action, body string) (int, string, http.Header) {
	v.t.Helper()
	r, err := http.NewRequest("POST", v.URL, bytes.NewReader([]byte(envelopeHead+body+envelopeTail)))
	check(v.t, err)
	r.Header.Set("SOAPAction", action)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	answer, err := client.Do(r)
	check(v.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(v.t, err)
	return answer.StatusCode, string(text), answer.Header
}

const currentTime = `<CurrentTime xmlns="urn:vim25">` +
	`<_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>`

func TestSessionCookie(t *testing.T) {
	v := startVsim(t)
	login := `<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>` +
		`<userName>DOMAIN\tester</userName><password>a&lt;b&amp;"c</password></Login>`
	code, text, header := v.soapCall("", "urn:vim25/7.0.3.0", login)
	if code != 200 {
		t.Fatalf("Login: %d %s", code, text)
	}
	set := header.Get("Set-Cookie")
	if !regexp.MustCompile(`^vmware_soap_session="[^"]+"; Path=/; HttpOnly; Secure`).MatchString(set) {
		t.Fatalf("Set-Cookie: %s", set)
	}
	cookie := strings.SplitN(set, ";", 2)[0]
	if code, text, _ = v.soapCall(cookie, "", currentTime); code != 200 {
		t.Errorf("with the cookie: %d %s", code, text)
	}
	code, text, _ = v.soapCall("", "", currentTime)
	if code != 500 || !strings.Contains(text, `xsi:type="NotAuthenticated"`) {
		t.Errorf("without it: %d %s", code, text)
	}
	code, text, _ = v.soapCall(cookie, "", login)
	if code != 500 || !strings.Contains(text, `xsi:type="InvalidLogin"`) {
		t.Errorf("a second login on a live session: %d %s", code, text)
	}
	code, text, _ = v.soapCall(cookie, "urn:vim25/9.9.9.9", currentTime)
	if code != 500 || !strings.Contains(text, "VersionMismatchFaultCode") {
		t.Errorf("an unknown version: %d %s", code, text)
	}
	if s := v.state(); s.Leaks.UnquotedCookies != 0 || s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
	v.soapCall(strings.ReplaceAll(cookie, `"`, ""), "", currentTime)
	if s := v.state(); s.Leaks.UnquotedCookies != 1 {
		t.Errorf("the quotes were dropped and nobody saw it")
	}
}

func TestWrongPassword(t *testing.T) {
	v := startVsim(t)
	c := v.connect()
	check(t, c.Logout(context.Background()))
	err := c.SessionManager.Login(context.Background(), url.UserPassword("DOMAIN\\tester", "no"))
	if faultOf(err) != "InvalidLogin" {
		t.Error(faultOf(err))
	}
}

func TestSessionsEnd(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t, "--session-idle", "30")
	c := v.connect()
	_, err := methods.GetCurrentTime(ctx, c.Client)
	check(t, err)
	v.post("/sessions/drop", "")
	if _, err = methods.GetCurrentTime(ctx, c.Client); faultOf(err) != "NotAuthenticated" {
		t.Errorf("after the drop: %v", faultOf(err))
	}
	c = v.connect()
	v.post("/settings", `{"sessionIdle": 0.001}`)
	time.Sleep(10 * time.Millisecond)
	if _, err = methods.GetCurrentTime(ctx, c.Client); faultOf(err) != "NotAuthenticated" {
		t.Errorf("after idling: %v", faultOf(err))
	}
	v.post("/settings", `{"sessionIdle": 30}`)
	c = v.connect()
	v.post("/faults", `{"on": "CurrentTime", "do": "expire", "count": 1}`)
	if _, err = methods.GetCurrentTime(ctx, c.Client); faultOf(err) != "NotAuthenticated" {
		t.Errorf("expired on demand: %v", faultOf(err))
	}
	ended := v.state().SessionsEnded
	if ended["dropped"] != 1 || ended["idle"] != 1 || ended["expired"] != 1 {
		t.Errorf("ended: %v", ended)
	}
}

// allMachines reads every machine's name, page by page.
func allMachines(t *testing.T, v *vsim, most int32) ([]string, int) {
	t.Helper()
	ctx := context.Background()
	c := v.connect()
	m := view.NewManager(c.Client)
	all, err := m.CreateContainerView(ctx, c.ServiceContent.RootFolder,
		[]string{"VirtualMachine"}, true)
	check(t, err)
	skip := true
	answer, err := methods.RetrievePropertiesEx(ctx, c.Client, &types.RetrievePropertiesEx{
		This: c.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			ObjectSet: []types.ObjectSpec{{Obj: all.Reference(), Skip: &skip,
				SelectSet: []types.BaseSelectionSpec{
					&types.TraversalSpec{Type: "ContainerView", Path: "view"}}}},
			PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"name"}}},
		}},
		Options: types.RetrieveOptions{MaxObjects: most}})
	check(t, err)
	var names []string
	pages := 1
	token := answer.Returnval.Token
	objects := answer.Returnval.Objects
	for {
		for _, o := range objects {
			names = append(names, o.PropSet[0].Val.(string))
		}
		if token == "" {
			return names, pages
		}
		next := &types.ContinueRetrievePropertiesEx{
			This: c.ServiceContent.PropertyCollector, Token: token}
		more, err := methods.ContinueRetrievePropertiesEx(ctx, c.Client, next)
		check(t, err)
		if _, err = methods.ContinueRetrievePropertiesEx(ctx, c.Client, next); err == nil {
			t.Fatal("a token could be used twice")
		}
		pages++
		token, objects = more.Returnval.Token, more.Returnval.Objects
	}
}

func TestPages(t *testing.T) {
	v := startVsim(t, "--scenario", "wide")
	whole, pages := allMachines(t, v, 0)
	if len(whole) != 10 || pages != 1 {
		t.Fatalf("%d machines on %d pages", len(whole), pages)
	}
	v.post("/settings", `{"pageSize": 3}`)
	for _, most := range []int32{0, 2, 100} {
		names, pages := allMachines(t, v, most)
		if fmt.Sprint(names) != fmt.Sprint(whole) || pages < 4 {
			t.Errorf("at most %d: %d machines on %d pages", most, len(names), pages)
		}
	}
}

func TestUnknownProperty(t *testing.T) {
	ctx := context.Background()
	v := startVsim(t)
	c := v.connect()
	vm := v.machine(c, "/DC0/vm/alpine-export-test")
	read := func(name string) error {
		var into mo.VirtualMachine
		return vm.Properties(ctx, vm.Reference(), []string{"name", name}, &into)
	}
	if faultOf(read("config.noSuchThing")) != "InvalidProperty" {
		t.Error(faultOf(read("config.noSuchThing")))
	}
	v.post("/settings", `{"unknown": "missing"}`)
	answer, err := methods.RetrievePropertiesEx(ctx, c.Client, &types.RetrievePropertiesEx{
		This: c.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			ObjectSet: []types.ObjectSpec{{Obj: vm.Reference()}},
			PropSet: []types.PropertySpec{{Type: "VirtualMachine",
				PathSet: []string{"name", "config.noSuchThing"}}}}}})
	check(t, err)
	if one := answer.Returnval.Objects[0]; len(one.MissingSet) != 1 || len(one.PropSet) != 1 {
		t.Errorf("%+v", one)
	}
	check(t, read("config.firmware"))
	v.post("/settings", `{"hidden": ["config.firmware"]}`)
	if faultOf(read("config.firmware")) != "InvalidProperty" {
		t.Error("a hidden property was told")
	}
}

func TestManySessions(t *testing.T) {
	v := startVsim(t, "--scenario", "wide", "--lease-init", "0.01")
	paths := []string{"Test/twin", "Prod/twin", "Test/a%2Fb%25c%5Cd & <Bürö>"}
	var clients []*object.VirtualMachine
	for _, path := range paths {
		clients = append(clients, v.machine(v.connect(), "/Region EU/DC-Nested/vm/"+path))
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Add(1)
		vm, dir := clients[i], t.TempDir()
		go func() {
			defer all.Done()
			for round := 0; round < 5; round++ {
				if err := exportOnce(v, vm, fmt.Sprintf("%s/%d", dir, round)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	s := v.state()
	if s.OpenLeases != 0 || len(s.Leases) != 15 || s.Sessions != 3 {
		t.Errorf("%d open of %d leases, %d sessions", s.OpenLeases, len(s.Leases), s.Sessions)
	}
}

func exportOnce(v *vsim, vm *object.VirtualMachine, file string) error {
	ctx := context.Background()
	lease, err := vm.Export(ctx)
	if err != nil {
		return err
	}
	info, err := lease.Wait(ctx, nil)
	if err != nil {
		return err
	}
	for _, d := range info.DeviceUrl {
		if _, err = v.download(d.Url, d.SslThumbprint, file); err != nil {
			return err
		}
		if err = lease.Progress(ctx, 10); err != nil {
			return err
		}
	}
	return lease.Complete(ctx)
}
